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
