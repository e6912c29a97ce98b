"""Workers that pull their tickets, on any machine."""

from .pull import WorkerOptions, run

__all__ = ["WorkerOptions", "run"]
