"""`TrainingScheduler` on the jobs of the `JobManager` of the same path."""

from __future__ import annotations

import os

from tidegate import scheduler

from .jobs import DEFAULT_FILE, folder_for


class TrainingScheduler(scheduler.TrainingScheduler):
    """Schedules whose jobs a `JobManager` of the same `path` claims; whoever claims also looks for what is due."""

    def __init__(self, path: str | os.PathLike[str] = DEFAULT_FILE) -> None:
        """Open. Raises Unavailable when the folder cannot be used."""
        super().__init__(folder_for(path))
