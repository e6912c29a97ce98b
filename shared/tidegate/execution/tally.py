"""What one worker process did since it started: figures that the worker itself can be asked for."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy

from tidegate.domain.exposition import Family, Histogram, Kind, Sample
from tidegate.domain.job import Job

BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Upper bounds, in seconds, of the classes that durations are counted in: from a quick call to an hour."""


class Tally:
    """Counts jobs by outcome and how long they took. Safe to be told, and asked, by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: Counter[tuple[str, str, str]] = Counter()
        self._seconds: dict[str, Histogram] = {}
        self._claimed = 0
        self._contact: float | None = None

    def claimed(self, found: int) -> None:
        """The home, or its server, was asked for work and answered with so many jobs (or tickets)."""
        with self._lock:
            self._claimed += found
            self._contact = time.time()

    def ran(self, job: Job, outcome: str, seconds: float) -> None:
        """An attempt has ended so, after so many seconds."""
        with self._lock:
            self._outcomes[job.queue, job.name, outcome] += 1
            self._seconds.setdefault(job.name, Histogram({"name": job.name}, BOUNDS)).add(seconds)

    def families(self, running: int, places: int) -> Iterator[Family]:
        """All figures; `running` jobs run now, of `places` that may."""
        with self._lock:
            outcomes: list[Sample] = [
                ({"queue": queue, "name": name, "outcome": outcome}, jobs)
                for (queue, name, outcome), jobs in sorted(self._outcomes.items())
            ]
            seconds = [deepcopy(each) for _, each in sorted(self._seconds.items())]
            claimed, contact = self._claimed, self._contact
        yield Family("tidegate_worker_jobs_total", Kind.COUNTER, "Attempts that ended, by outcome.", outcomes)
        told = "How long attempts took, their outcome recorded."
        yield Family("tidegate_worker_run_seconds", Kind.HISTOGRAM, told, histograms=seconds)
        yield Family("tidegate_worker_running", Kind.GAUGE, "Jobs that run now.", [({}, running)])
        yield Family("tidegate_worker_concurrency", Kind.GAUGE, "Jobs that may run at once.", [({}, places)])
        claims = "Jobs claimed, or tickets received, since the worker started."
        yield Family("tidegate_worker_claims_total", Kind.COUNTER, claims, [({}, claimed)])
        reached: list[Sample] = [] if contact is None else [({}, contact)]
        told = "When the home, or its server, last answered: seconds since 1970."
        yield Family("tidegate_worker_last_contact_timestamp_seconds", Kind.GAUGE, told, reached)
