"""Executors of the soak: each attempt writes down that it began, ended, or was cleaned up after."""

from __future__ import annotations

import os
import time
from typing import Any

from tidegate import JobContext, PermanentError, executor

_FILE = os.open(os.environ["SOAK_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(what: str, job: JobContext) -> None:
    """One line, in one atomic append."""
    os.write(_FILE, f"{what} {job.id} {job.attempt}\n".encode())


def done(job: JobContext, **result: Any) -> dict[str, Any]:
    """The result of an attempt, which says which one it was."""
    note("end", job)
    return {"attempt": job.attempt, **result}


@executor("work")
def work(job: JobContext) -> dict[str, Any]:
    """Take a few milliseconds, say so, and be done."""
    note("begin", job)
    job.log.info("begun")
    time.sleep(job.data["seconds"])
    job.progress(0.5, "half way")
    job.log.info("done")
    return done(job)


executor("slow")(work)
"""Long enough to be hit when its worker is killed."""


@executor("quick")
def quick(job: JobContext) -> dict[str, Any]:
    """Do nothing, at once."""
    note("begin", job)
    return done(job)


@executor("flaky")
def flaky(job: JobContext) -> dict[str, Any]:
    """Fail in the first attempts."""
    note("begin", job)
    if job.attempt < job.data["until"]:
        raise ValueError(f"not yet: attempt {job.attempt}")
    return done(job)


@executor("hopeless")
def hopeless(job: JobContext) -> None:
    """Fail for good."""
    note("begin", job)
    raise PermanentError("never")


@executor("nothing")
def nothing(job: JobContext) -> Any:
    """There is nothing to do."""
    note("begin", job)
    return job.skip("nothing to do")


@executor("later")
def later(job: JobContext) -> Any:
    """Not in the first attempt."""
    note("begin", job)
    return job.snooze(0.5) if job.attempt == 1 else done(job)


@executor("big")
def big(job: JobContext) -> dict[str, Any]:
    """Give back what is too large for a table."""
    note("begin", job)
    return done(job, text=job.data["text"])


def tidy(job: JobContext) -> None:
    """Clean up after `endless`."""
    note("clean", job)


@executor("endless", on_cancel=tidy)
def endless(job: JobContext) -> None:
    """Wait to be cancelled."""
    note("begin", job)
    while not job.cancelled:
        time.sleep(0.05)


@executor("split")
def split(job: JobContext) -> dict[str, Any]:
    """The first node of a run: what it fans out over."""
    note("begin", job)
    return done(job, items=list(range(job.data["items"])))


@executor("part")
def part(job: JobContext) -> dict[str, Any]:
    """One entry of the fan-out."""
    note("begin", job)
    return done(job, value=2 * job.data["item"])


@executor("total")
def total(job: JobContext) -> dict[str, Any]:
    """The last node of a run: what the entries come to."""
    note("begin", job)
    return done(job, value=sum(entry["value"] for entry in job.upstream["parts"].result))
