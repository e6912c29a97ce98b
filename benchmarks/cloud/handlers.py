"""The jobs of the counted flows: nothing of their own is counted."""

from __future__ import annotations

from tidegate import JobContext, executor


@executor("noop")
def noop(_job: JobContext) -> int:
    """Answer something small."""
    return 1


@executor("listed")
def listed(job: JobContext) -> list[int]:
    """Answer a list as long as asked for."""
    return list(range(job.data["width"]))


@executor("flaky")
def flaky(job: JobContext) -> int:
    """Fail the first time."""
    if job.attempt == 1:
        raise ConnectionError("the other side hung up")
    return 1
