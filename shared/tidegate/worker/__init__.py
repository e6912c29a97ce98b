"""Workers on any machine: with access to the home itself, or over HTTPS alone."""

from .crew import run
from .options import WorkerOptions

__all__ = ["WorkerOptions", "run"]
