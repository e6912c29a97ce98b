"""What is submitted in a soak, and what must become of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from tidegate import Dag
from tidegate.client.ids import new_id

QUEUES: Mapping[str, Mapping[str, Any]] = {
    "narrow": {"slots": 3},
    "keyed": {"key_slots": 1},
    "gpu": {"pool": "gpu"},
}
RUN_ITEMS = 3
RUN_JOBS = RUN_ITEMS + 3
"""Jobs of one run: split, its entries, what gathers them, total."""
_NO_LIMIT = 50
"""Retries: a worker that is killed uses one up, and no job here is to end for that."""


class Kind(NamedTuple):
    """A kind of job: which share of all, in which queue, how it must end."""

    name: str
    share: int
    end: str
    queue: str = "default"


KINDS = (
    Kind("work", 31, "COMPLETED"),
    Kind("quick", 20, "COMPLETED"),
    Kind("work", 10, "COMPLETED", "narrow"),
    Kind("work", 8, "COMPLETED", "keyed"),
    Kind("work", 10, "COMPLETED", "gpu"),
    Kind("flaky", 5, "COMPLETED"),
    Kind("slow", 2, "COMPLETED"),
    Kind("hopeless", 4, "FAILED"),
    Kind("nothing", 3, "SKIPPED"),
    Kind("later", 4, "COMPLETED"),
    Kind("big", 2, "COMPLETED"),
    Kind("endless", 1, "CANCELLED"),
)
STEADY = frozenset({"work", "slow", "quick", "big", "split", "part", "total"})
"""Jobs that need a second attempt only if the first one's worker vanishes."""


@dataclass(frozen=True)
class Plan:
    """So many jobs and runs; the same seed makes the same jobs."""

    jobs: int
    runs: int
    seed: int

    def submissions(self) -> Iterator[tuple[Kind, dict[str, Any]]]:
        """Each job with its kind."""
        rng = random.Random(self.seed)
        kinds = rng.choices(KINDS, [kind.share for kind in KINDS], k=self.jobs)
        for number, kind in enumerate(kinds):
            yield kind, _job(f"soak-{number:06}", kind, rng)

    @cached_property
    def dags(self) -> Sequence[Mapping[str, Any]]:
        """The body of each run."""
        return [{"dag_id": new_id(), **_dag(number)} for number in range(self.runs)]

    @property
    def total(self) -> int:
        """All jobs, those of runs included."""
        return self.jobs + self.runs * RUN_JOBS


def _job(job_id: str, kind: Kind, rng: random.Random) -> dict[str, Any]:
    job: dict[str, Any] = {
        "job_id": job_id,
        "name": kind.name,
        "queue": kind.queue,
        "priority": 10 if kind.name == "endless" else rng.randint(0, 10),
        "data": _data(kind, rng),
        "retry_limit": _NO_LIMIT,
        "retry_delay": 0.2,
        "retry_backoff": False,
    }
    if kind.queue == "keyed":
        job["concurrency_key"] = f"key-{rng.randint(0, 9)}"
    if rng.random() < 0.05:
        job["start_after"] = datetime.now(UTC) + timedelta(seconds=rng.uniform(0, 5))
    return job


def _data(kind: Kind, rng: random.Random) -> dict[str, Any]:
    match kind.name:
        case "work":
            return {"seconds": rng.uniform(0, 0.03)}
        case "slow":
            return {"seconds": rng.uniform(0.3, 2)}
        case "flaky":
            return {"until": rng.randint(2, 4)}
        case "big":
            return {"text": "x" * 150_000}
    return {}


def _dag(number: int) -> dict[str, Any]:
    queue = "gpu" if number % 2 else "default"
    retries: dict[str, Any] = {"retry_limit": _NO_LIMIT, "retry_delay": 0.2}
    with Dag("soak") as dag:
        made = dag.job("split", {"items": RUN_ITEMS}, id="split", queue=queue, **retries)
        parts = dag.map("part", over=made["items"], id="parts", queue=queue, **retries)
        dag.job("total", {}, after=parts, id="total", queue=queue, **retries)
    return dag.body()
