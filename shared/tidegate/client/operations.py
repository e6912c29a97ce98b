"""Looking after many jobs at once: figures, purge, archive, retry, dead letters. Both clients share the requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypedDict, Unpack

from .calls import Call
from .fields import to_json
from .models import Job
from .sender import AsyncSender, Sender

Row = Mapping[str, Any]


class Selection(TypedDict, total=False):
    """Which ended jobs: all that is given must fit. Nothing given at all needs `all`. `older_than` are seconds."""

    states: Sequence[str]
    queue: str | None
    name: str | None
    tag: str | None
    older_than: float | None
    all: bool


@dataclass(frozen=True, slots=True)
class Maintained:
    """What a request did, or would do in a dry run: jobs found, and acted on; `archives` are the files written."""

    dry_run: bool
    matched: int = 0
    done: int = 0
    archives: tuple[str, ...] = ()
    continuation: str | None = None
    raw: Row = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Row) -> Maintained:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return cls(
            dry_run=bool(wire["dry_run"]),
            matched=int(wire["matched"]),
            done=int(wire["done"]),
            archives=tuple(wire.get("archives") or ()),
            continuation=wire.get("continuation"),
            raw=wire,
        )

    def __add__(self, later: Maintained) -> Maintained:
        """Both together."""
        return Maintained(
            later.dry_run,
            self.matched + later.matched,
            self.done + later.done,
            self.archives + later.archives,
            later.continuation,
            later.raw,
        )


class Operations(Sender):
    """The methods of `Client` that look after many jobs."""

    def pipeline_status(self) -> Row:
        """`is_running`, `queue_size`, `scheduled_jobs`, `active_jobs`, …, `metrics`."""
        return self._run(pipeline_status())

    def pipeline_metrics(self) -> Row:
        """`metrics` and `pipeline_info`: the same in short."""
        return self._run(pipeline_metrics())

    def retry_analysis(self) -> list[Row]:
        """`name`, `avg_retries`, `max_retries`, `total_jobs`: of stored jobs that used retries."""
        return self._run(rows("/stats/retries", "retries"))

    def throughput(self, hours: int = 24) -> list[Row]:
        """`hour`, `completed_jobs`, `failed_jobs`, `p50_run_seconds`, `p99_run_seconds`, …: of the last hours."""
        return self._run(rows("/stats/throughput", "throughput", hours=hours))

    def timeline(self, hours: int = 24) -> Row:
        """`points` of `at`, `completed` and `failed`, their `step_seconds`, and `success_rate`, `p50_run_seconds`, …"""
        return self._run(row("/stats/timeline", "timeline", hours=hours))

    def depth(self) -> Row:
        """`total`, `bands`, `priorities`: jobs that wait for a worker; `oldest_seconds` and `oldest_job` of them."""
        return self._run(row("/stats/depth", "depth"))

    def bulk(
        self, action: str, job_ids: Sequence[str], *, reason: str | None = None, priority: int | str | None = None
    ) -> Row:
        """Do `cancel`, `retry` or `priority` to up to 100 jobs: `done` ids, and the `refused` with their reasons."""
        return self._run(bulk(action, job_ids, reason, priority))

    def sla_figures(self) -> Row:
        """`met`, `missed_soft`, `missed_hard`, `at_risk`: of all jobs with deadlines, and in `queues` of each queue."""
        return self._run(sla_figures())

    def costs(self, first: date | str | None = None, last: date | str | None = None) -> Row:
        """`dollars` of jobs, by `queues` and by `days`: of the month so far, or of the days from first to last."""
        return self._run(costs(first, last))

    def common_errors(self, top: int = 5, sample: int = 500) -> list[Row]:
        """`message`, `count`, `error_type`, `names`, `last_at`, `job_id`: of the newest `sample` FAILED jobs."""
        return self._run(rows("/stats/errors", "errors", top=top, sample=sample))

    def stuck_jobs(self, older_than: float = 3600, limit: int = 50) -> list[Job]:
        """Jobs whose attempt has been running for more than `older_than` seconds, the longest first."""
        return self._run(stuck_jobs(older_than, limit))

    def reset_stuck(self, older_than: float = 3600, *, confirm: bool = False) -> Row:
        """Let such jobs wait again and lock their holders out; only with `confirm`. `matched`, `done`, `job_ids`."""
        return self._run(reset_stuck(older_than, confirm))

    def queue_figures(self) -> list[Row]:
        """`queue`, `depth`, `running`, `ended`, `states`: of every queue that has had jobs."""
        return self._run(rows("/stats/queues", "queues"))

    def purge(self, *, confirm: bool = False, **selection: Unpack[Selection]) -> Maintained:
        """Delete ended jobs, however many; only with `confirm`."""
        return _sum(self.maintain("purge", confirm=confirm, **selection))

    def archive(self, *, confirm: bool = False, **selection: Unpack[Selection]) -> Maintained:
        """Write ended jobs to the blob store as JSON lines, then delete them; only with `confirm`."""
        return _sum(self.maintain("archive", confirm=confirm, **selection))

    def retry_many(self, *, confirm: bool = False, **selection: Unpack[Selection]) -> Maintained:
        """Start FAILED jobs over (or EXPIRED and CANCELLED ones, by `states`); only with `confirm`."""
        return _sum(self.maintain("retry", confirm=confirm, **selection))

    def maintain(self, action: str, *, confirm: bool = False, **selection: Unpack[Selection]) -> Iterator[Maintained]:
        """Purge, archive or retry lazily: what each request did, as soon as it is known."""
        continuation: str | None = None
        while True:
            part = self._run(maintain(action, selection, confirm, continuation))
            yield part
            continuation = part.continuation
            if continuation is None:
                return

    def dead_letters(self, after: str = "", limit: int = 50) -> list[Row]:
        """`id`, `body`, `source`, `reason`, `at`: messages that were no tickets, by id, those after an id."""
        return self._run(rows("/maintenance/dead-letters", "dead_letters", after=after, limit=limit))

    def redrive(self, ids: Sequence[str] | None, *, drop: bool = False, confirm: bool = False) -> list[Row]:
        """Deal with dead letters (None: the first 200); only with `confirm`. `id` and `result` of each."""
        return self._run(redrive(ids, drop=drop, confirm=confirm))


class AsyncOperations(AsyncSender):
    """The methods of `Operations`, awaited."""

    async def pipeline_status(self) -> Row:
        """See `Operations.pipeline_status`."""
        return await self._run(pipeline_status())

    async def pipeline_metrics(self) -> Row:
        """See `Operations.pipeline_metrics`."""
        return await self._run(pipeline_metrics())

    async def retry_analysis(self) -> list[Row]:
        """See `Operations.retry_analysis`."""
        return await self._run(rows("/stats/retries", "retries"))

    async def throughput(self, hours: int = 24) -> list[Row]:
        """See `Operations.throughput`."""
        return await self._run(rows("/stats/throughput", "throughput", hours=hours))

    async def timeline(self, hours: int = 24) -> Row:
        """See `Operations.timeline`."""
        return await self._run(row("/stats/timeline", "timeline", hours=hours))

    async def depth(self) -> Row:
        """See `Operations.depth`."""
        return await self._run(row("/stats/depth", "depth"))

    async def bulk(
        self, action: str, job_ids: Sequence[str], *, reason: str | None = None, priority: int | str | None = None
    ) -> Row:
        """See `Operations.bulk`."""
        return await self._run(bulk(action, job_ids, reason, priority))

    async def sla_figures(self) -> Row:
        """See `Operations.sla_figures`."""
        return await self._run(sla_figures())

    async def costs(self, first: date | str | None = None, last: date | str | None = None) -> Row:
        """See `Operations.costs`."""
        return await self._run(costs(first, last))

    async def common_errors(self, top: int = 5, sample: int = 500) -> list[Row]:
        """See `Operations.common_errors`."""
        return await self._run(rows("/stats/errors", "errors", top=top, sample=sample))

    async def stuck_jobs(self, older_than: float = 3600, limit: int = 50) -> list[Job]:
        """See `Operations.stuck_jobs`."""
        return await self._run(stuck_jobs(older_than, limit))

    async def reset_stuck(self, older_than: float = 3600, *, confirm: bool = False) -> Row:
        """See `Operations.reset_stuck`."""
        return await self._run(reset_stuck(older_than, confirm))

    async def queue_figures(self) -> list[Row]:
        """See `Operations.queue_figures`."""
        return await self._run(rows("/stats/queues", "queues"))

    async def purge(self, *, confirm: bool = False, **selection: Unpack[Selection]) -> Maintained:
        """See `Operations.purge`."""
        return _sum([part async for part in self.maintain("purge", confirm=confirm, **selection)])

    async def archive(self, *, confirm: bool = False, **selection: Unpack[Selection]) -> Maintained:
        """See `Operations.archive`."""
        return _sum([part async for part in self.maintain("archive", confirm=confirm, **selection)])

    async def retry_many(self, *, confirm: bool = False, **selection: Unpack[Selection]) -> Maintained:
        """See `Operations.retry_many`."""
        return _sum([part async for part in self.maintain("retry", confirm=confirm, **selection)])

    async def maintain(
        self, action: str, *, confirm: bool = False, **selection: Unpack[Selection]
    ) -> AsyncIterator[Maintained]:
        """See `Operations.maintain`."""
        continuation: str | None = None
        while True:
            part = await self._run(maintain(action, selection, confirm, continuation))
            yield part
            continuation = part.continuation
            if continuation is None:
                return

    async def dead_letters(self, after: str = "", limit: int = 50) -> list[Row]:
        """See `Operations.dead_letters`."""
        return await self._run(rows("/maintenance/dead-letters", "dead_letters", after=after, limit=limit))

    async def redrive(self, ids: Sequence[str] | None, *, drop: bool = False, confirm: bool = False) -> list[Row]:
        """See `Operations.redrive`."""
        return await self._run(redrive(ids, drop=drop, confirm=confirm))


def pipeline_status() -> Call[Row]:
    """How the pipeline is doing."""
    return Call("GET", "/pipeline/status", lambda wire: dict(wire["status"]))


def pipeline_metrics() -> Call[Row]:
    """The same in short."""
    return Call("GET", "/pipeline/metrics", lambda wire: {name: wire[name] for name in ("metrics", "pipeline_info")})


def sla_figures() -> Call[Row]:
    """Deadlines met, missed and at risk."""
    return Call("GET", "/stats/sla", lambda wire: dict(wire["sla"]))


def costs(first: date | str | None, last: date | str | None) -> Call[Row]:
    """What jobs have cost."""
    return row("/costs", "costs", **{"from": first or "", "to": last or ""})


def rows(path: str, name: str, **params: object) -> Call[list[Row]]:
    """A list of figures."""
    return Call("GET", path, lambda wire: list(wire[name]), params=_params(params))


def row(path: str, name: str, **params: object) -> Call[Row]:
    """Figures of one thing."""
    return Call("GET", path, lambda wire: dict(wire[name]), params=_params(params))


def stuck_jobs(older_than: float, limit: int) -> Call[list[Job]]:
    """Jobs that run for too long."""
    params = _params({"older_than": older_than, "limit": limit})
    return Call("GET", "/stats/stuck", lambda wire: [Job.from_wire(each) for each in wire["jobs"]], params=params)


def reset_stuck(older_than: float, confirm: bool) -> Call[Row]:
    """Take stuck jobs from their attempts. Done again, it finds none: those are fresh attempts by then."""
    body = to_json({"older_than": older_than, "confirm": confirm})
    return Call("POST", "/maintenance/reset", dict, body=body)


def maintain(action: str, selection: Mapping[str, Any], confirm: bool, continuation: str | None) -> Call[Maintained]:
    """One part of an action on many jobs. Retrying jobs twice could run them twice, so it is not repeated blindly."""
    given = {name: value for name, value in selection.items() if value is not None}
    states = {"states": list(given["states"])} if "states" in given else {}
    go_on = {"continuation": continuation} if continuation is not None else {}
    body = to_json({**given, **states, **go_on, "confirm": confirm}, "the request")
    repeatable = action != "retry" or not confirm
    return Call("POST", f"/maintenance/{action}", Maintained.from_wire, body=body, repeatable=repeatable)


def bulk(action: str, job_ids: Sequence[str], reason: str | None, priority: int | str | None) -> Call[Row]:
    """One deed for many jobs. A second retry could start them once more, so that one is not repeated blindly."""
    given = {"reason": reason, "priority": priority}
    asked = {"action": action, "job_ids": list(job_ids), **{k: v for k, v in given.items() if v is not None}}
    return Call("POST", "/jobs/bulk", _done_and_refused, body=to_json(asked), repeatable=action != "retry")


def redrive(ids: Sequence[str] | None, *, drop: bool, confirm: bool) -> Call[list[Row]]:
    """Deal with dead letters. Done again it does not find those of the first time, so it is not repeated blindly."""
    which = {"all": True} if ids is None else {"ids": list(ids)}
    body = to_json({**which, "drop": drop, "confirm": confirm})
    read = _results
    return Call("POST", "/maintenance/redrive", read, body=body, repeatable=not confirm)


def _results(wire: Row) -> list[Row]:
    return list(wire["results"])


def _done_and_refused(wire: Row) -> Row:
    return {name: list(wire[name]) for name in ("done", "refused")}


def _params(params: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in params.items() if value != ""]


def _sum(parts: Iterator[Maintained] | list[Maintained]) -> Maintained:
    found = list(parts)
    return sum(found[1:], found[0])
