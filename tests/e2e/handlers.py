"""Executors for the end-to-end tests; what they do is told by the job's data."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tidegate import JobContext, PermanentError, executor


@executor("echo")
def echo(job: JobContext) -> dict[str, Any]:
    """Give back what came in."""
    return {"data": job.data, "attempt": job.attempt}


@executor("fail")
def fail(job: JobContext) -> str:
    """Fail until attempt number `until`."""
    if job.attempt < job.data["until"]:
        raise ValueError(f"not yet: attempt {job.attempt}")
    return "at last"


@executor("refuse")
def refuse(job: JobContext) -> None:
    """Fail for good."""
    raise PermanentError("never")


@executor("mark")
def mark(job: JobContext) -> int:
    """Write down that this attempt ran: one line a run, in one atomic append."""
    time.sleep(job.data.get("seconds", 0))
    line = f"{job.id} {job.attempt}\n".encode()
    with Path(job.data["file"]).open("ab", buffering=0) as file:
        file.write(line)
    return job.attempt


@executor("die")
def die(job: JobContext) -> int:
    """Kill the process that runs this, up to attempt number `until`."""
    if job.attempt < job.data["until"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return job.attempt


@executor("big")
def big(job: JobContext) -> str:
    """Answer so many characters."""
    return "x" * int(job.data["size"])


@executor("slow")
def slow(job: JobContext) -> str:
    """Take a while, telling how far it is; stop when asked to."""
    steps = 50
    for step in range(steps):
        if job.cancelled:
            return "stopped"
        job.progress(step / steps, f"step {step}")
        time.sleep(job.data["seconds"] / steps)
    return "finished"


@executor("talk")
def talk(job: JobContext) -> str:
    """Log so many lines, then wait so many seconds."""
    for number in range(job.data["lines"]):
        job.log.info("line %d", number)
    time.sleep(job.data.get("seconds", 0))
    return "told"


@executor("crash")
def crash(job: JobContext) -> None:
    """Say how far it is, then die in the first attempt."""
    time.sleep(0.6)
    job.progress(0.42, "about to die")
    if job.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(job.data["seconds"])


def tidy(job: JobContext) -> None:
    """Clean up after `messy`."""
    Path(job.data["file"]).unlink()
    job.log.warning("tidied up")


@executor("messy", on_cancel=tidy)
def messy(job: JobContext) -> str:
    """Make a file, and wait to be cancelled."""
    Path(job.data["file"]).touch()
    while not job.cancelled:
        time.sleep(0.05)
    return "stopped"


@executor("shout")
def shout(job: JobContext) -> dict[str, Any]:
    """Say `text` wherever a handler can say something; fail with it where `fails` is set."""
    text = job.data["text"]
    job.log.warning("%s", text)
    job.progress(0.5, text)
    if job.data.get("fails"):
        raise PermanentError(text)
    return {text: [text, {text: text}]}
