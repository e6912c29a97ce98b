"""What a worker without access to the tables asks of a server: claim jobs, keep them, end them.

    from tidegate.client.work import WorkClient

    with WorkClient() as tidegate:
        for job in tidegate.claim("worker-1", wait_seconds=20).jobs:
            tidegate.complete(job.id, job.attempt, {"pages": 3})

The token needs the scope `work`. `tidegate worker --url …` does all this for the handlers of a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tidegate.domain.job import Json

from .calls import Call, job_in, path_of, post
from .fields import to_json
from .models import Job
from .synchronous import Client

Told = Mapping[str, Any] | None
"""How far an attempt is: `fraction` and `message`."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that was started for the caller: `job.attempt` fences its lease. `timeout` in seconds.

    `cancel_requested`: it was started only to be cleaned up and `stopped`.
    """

    job: Job
    timeout: float
    cancel_requested: bool = False
    traceparent: str | None = None

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
        jobs = tuple(
            ClaimedJob(
                Job.from_wire(each), float(each["timeout"]), bool(each.get("cancel_requested")), each.get("traceparent")
            )
            for each in wire["jobs"]
        )
        return cls(jobs, float(wire["lease_seconds"]), float(wire.get("longest_wait_seconds") or 0), wire)


@dataclass(frozen=True, slots=True)
class LogKept:
    """How much of a job's log is kept, and the number of the attempt's last request that was."""

    number: int
    lines: int
    size: int
    overflows: int

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> LogKept:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        kept = wire["kept"]
        return cls(int(wire["number"]), int(kept["lines"]), int(kept["bytes"]), int(kept["overflows"]))


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

    def heartbeat(self, job_id: str, attempt: int, progress: Told = None) -> bool:
        """Keep the job, tell how far it is (`fraction`, `message`); answers whether it shall stop."""
        body = {"attempt": attempt, "progress": progress}
        return self._run(post(path_of("jobs", job_id, "heartbeat"), _is_to_stop, body))

    def job_data(self, job_id: str, attempt: int) -> Json:
        """The data of a held job, where it was too large to come with the claim."""
        params = [("attempt", str(attempt))]
        return self._run(Call("GET", path_of("jobs", job_id, "data"), lambda wire: wire["data"], params=params))

    def job_upstream(self, job_id: str, attempt: int) -> Mapping[str, Mapping[str, Any]]:
        """The nodes that a held job depends on, by name: `job_id`, `state` and `result` of each."""
        pages = self._pages(path_of("jobs", job_id, "upstream"), attempt)
        return {str(each["node"]): each for page in pages for each in page["nodes"]}

    def job_entries(self, job_id: str, attempt: int) -> list[Json]:
        """The results that a held `tidegate.gather` gathers. Raises Conflict when they make no list."""
        pages = self._pages(path_of("jobs", job_id, "entries"), attempt)
        return [each for page in pages for each in page["results"]]

    def append_log(
        self, job_id: str, attempt: int, lines: Sequence[Mapping[str, Any]], number: int | None = None
    ) -> LogKept:
        """Add lines to the log of a held job (`level`, `message`, `seconds_ago`); no lines: ask what is kept.

        With a `number`, counted from 1 for each attempt, it is repeated if need be; else it is sent once only.
        """
        body = {"attempt": attempt, "number": number, "lines": list(lines)}
        repeatable = number is not None or not lines
        return self._run(post(path_of("jobs", job_id, "logs"), LogKept.from_wire, body, repeatable=repeatable))

    def complete(self, job_id: str, attempt: int, result: Json = None, *, progress: Told = None) -> Job:
        """Record the result. Raises InvalidInput, PayloadTooLarge for one that cannot be kept.

        `progress` is the last that is to be shown, here and below.
        """
        content = to_json({"attempt": attempt, "result": result, "progress": progress}, "the result")
        return self._run(Call("POST", path_of("jobs", job_id, "complete"), job_in, body=content))

    def fail(
        self,
        job_id: str,
        attempt: int,
        error_message: str,
        *,
        error_type: str = "agent",
        permanent: bool = False,
        cleans_up: bool = False,
        progress: Told = None,
    ) -> Job:
        """End the attempt as failed; another follows unless it was the last or the failure is `permanent`.

        A job that was to stop ends as CANCELLED; with `cleans_up` StopAsked is raised: clean up, then say `stopped`.
        """
        body = {"error_message": error_message, "error_type": error_type, "permanent": permanent}
        return self._end(job_id, "fail", attempt, {**body, "cleans_up": cleans_up, "progress": progress})

    def snooze(
        self, job_id: str, attempt: int, seconds: float, *, cleans_up: bool = False, progress: Told = None
    ) -> Job:
        """Let the job wait, without using up an attempt; `cleans_up` as with `fail`."""
        body = {"seconds": seconds, "cleans_up": cleans_up, "progress": progress}
        return self._end(job_id, "snooze", attempt, body)

    def skip(self, job_id: str, attempt: int, reason: str = "", *, progress: Told = None) -> Job:
        """End the attempt: there was nothing to do."""
        return self._end(job_id, "skip", attempt, {"reason": reason, "progress": progress})

    def stopped(
        self,
        job_id: str,
        attempt: int,
        error_message: str | None = None,
        *,
        error_type: str = "agent",
        progress: Told = None,
    ) -> Job:
        """End the attempt as CANCELLED: it stopped because it was asked to. `error_message`: what went wrong then."""
        body = {"error_message": error_message, "error_type": error_type, "progress": progress}
        return self._end(job_id, "stopped", attempt, body)

    def tell(self, worker_id: str, told: Mapping[str, Any]) -> None:
        """Say that a worker is there: the body of PUT /workers/{worker_id}."""
        path = f"/workers/{quote(worker_id, safe='')}"
        self._run(Call("PUT", path, lambda wire: str(wire["worker_id"]), body=to_json(dict(told))))

    def _pages(self, path: str, attempt: int) -> Iterator[Mapping[str, Any]]:
        after: int | None = 0
        while after is not None:
            params = [("attempt", str(attempt)), ("after", str(after))]
            page: Mapping[str, Any] = self._run(Call("GET", path, dict, params=params))
            yield page
            after = page["next_after"]

    def _end(self, job_id: str, how: str, attempt: int, body: Mapping[str, Any]) -> Job:
        return self._run(post(path_of("jobs", job_id, how), job_in, {"attempt": attempt, **body}))


def _is_to_stop(wire: Mapping[str, Any]) -> bool:
    return bool(wire["cancel_requested"])
