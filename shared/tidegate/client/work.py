"""What a worker without access to the tables asks of a server: claim jobs, keep them, end them.

    from tidegate.client.work import WorkClient

    with WorkClient() as tidegate:
        for job in tidegate.claim("worker-1", wait_seconds=20).jobs:
            tidegate.complete(job.id, job.attempt, {"pages": 3})

The token needs the scope `work`. `tidegate worker --url …` does all this for the handlers of a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tidegate.domain.job import Json

from .calls import Call, job_in, path_of, post
from .fields import to_json
from .models import Job
from .synchronous import Client


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that was started for the caller: `job.attempt` fences its lease. `timeout` in seconds."""

    job: Job
    timeout: float

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def attempt(self) -> int:
        """The number of the attempt."""
        return self.job.attempt


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim came to. Durations are seconds."""

    jobs: tuple[ClaimedJob, ...]
    lease_seconds: float
    """How long each lease lasts; a heartbeat makes it as long again."""
    longest_wait_seconds: float
    """How long this server lets a claim wait."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Claimed:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        jobs = tuple(ClaimedJob(Job.from_wire(each), float(each["timeout"])) for each in wire["jobs"])
        return cls(jobs, float(wire["lease_seconds"]), float(wire.get("longest_wait_seconds") or 0), wire)


class WorkClient(Client):
    """A `Client` that works. Every method that names an attempt raises LeaseLost when it is not the current one."""

    def claim(
        self,
        worker_id: str,
        *,
        pool: str = "default",
        queues: Sequence[str] = (),
        names: Sequence[str] = (),
        wait_seconds: float = 0.0,
        max_jobs: int = 1,
    ) -> Claimed:
        """Start up to `max_jobs` (1 to 10) of the best waiting jobs; without `queues` or `names`, of any.

        Waits for one up to `wait_seconds` (at most 20; a deployed server waits a second). It is sent once only:
        a job of a lost answer comes again when its lease has run out.
        """
        body = {
            "worker_id": worker_id,
            "pool": pool,
            "queues": list(queues),
            "names": list(names),
            "wait_seconds": wait_seconds,
            "max": max_jobs,
        }
        return self._run(post("/workers/claim", Claimed.from_wire, body, repeatable=False))

    def heartbeat(self, job_id: str, attempt: int, progress: Mapping[str, Any] | None = None) -> bool:
        """Keep the job, tell how far it is (`fraction`, `message`); answers whether it shall stop."""
        body = {"attempt": attempt, "progress": dict(progress) if progress is not None else None}
        return self._run(post(path_of("jobs", job_id, "heartbeat"), _is_to_stop, body))

    def job_data(self, job_id: str, attempt: int) -> Json:
        """The data of a held job, where it was too large to come with the claim."""
        params = [("attempt", str(attempt))]
        return self._run(Call("GET", path_of("jobs", job_id, "data"), lambda wire: wire["data"], params=params))

    def complete(self, job_id: str, attempt: int, result: Json = None) -> Job:
        """Record the result. Raises InvalidInput, PayloadTooLarge for one that cannot be kept."""
        content = to_json({"attempt": attempt, "result": result}, "the result")
        return self._run(Call("POST", path_of("jobs", job_id, "complete"), job_in, body=content))

    def fail(
        self, job_id: str, attempt: int, error_message: str, *, error_type: str = "agent", permanent: bool = False
    ) -> Job:
        """End the attempt as failed; another follows unless it was the last or the failure is `permanent`."""
        body = {"error_message": error_message, "error_type": error_type, "permanent": permanent}
        return self._end(job_id, "fail", attempt, body)

    def snooze(self, job_id: str, attempt: int, seconds: float) -> Job:
        """Let the job wait, without using up an attempt."""
        return self._end(job_id, "snooze", attempt, {"seconds": seconds})

    def skip(self, job_id: str, attempt: int, reason: str = "") -> Job:
        """End the attempt: there was nothing to do."""
        return self._end(job_id, "skip", attempt, {"reason": reason})

    def stopped(self, job_id: str, attempt: int) -> Job:
        """End the attempt as CANCELLED: it stopped because it was asked to."""
        return self._end(job_id, "stopped", attempt, {})

    def tell(self, worker_id: str, told: Mapping[str, Any]) -> None:
        """Say that a worker is there: the body of PUT /workers/{worker_id}."""
        path = f"/workers/{quote(worker_id, safe='')}"
        self._run(Call("PUT", path, lambda wire: str(wire["worker_id"]), body=to_json(dict(told))))

    def _end(self, job_id: str, how: str, attempt: int, body: Mapping[str, Any]) -> Job:
        return self._run(post(path_of("jobs", job_id, how), job_in, {"attempt": attempt, **body}))


def _is_to_stop(wire: Mapping[str, Any]) -> bool:
    return bool(wire["cancel_requested"])
