"""The jobs as Tidegate's workers find them."""

from __future__ import annotations

from benchmarks.embedded import sink
from tidegate import JobContext, executor


@executor("noop")
def noop(job: JobContext) -> int:
    """The body of a job."""
    return sink.noop(job.data)


@executor("slow")
def slow(job: JobContext) -> int:
    """The body of a long job."""
    return sink.slow(job.data)
