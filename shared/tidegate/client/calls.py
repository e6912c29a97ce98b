"""Every request as a value: how to send it, how to read its answer, whether doing it twice is harmless.

No I/O happens here, so both clients share it whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json

from .errors import UnexpectedAnswer, error_of
from .explanation import Why
from .fields import filter_params, job_body, to_json
from .ids import new_id
from .models import Batch, DagRun, Health, Identity, Job, Page, Queue, Stats
from .records import History, LogPage
from .workers import Worker

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request and the reading of its answer."""

    method: str
    path: str
    read: Callable[[Mapping[str, Any]], T]
    params: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    """Doing it twice is as good as once."""

    def answer(self, status: int, headers: Mapping[str, str], content: bytes) -> T:
        """What the server's answer means. Raises the TidegateError that it stands for."""
        if not 200 <= status < 300:
            raise error_of(status, headers, content)
        try:
            return self.read(json.loads(content))
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise UnexpectedAnswer(status=status, reason=str(error)) from error


def submit(name: str | None, data: Json, idempotency_key: str | None, fields: Mapping[str, Any]) -> Call[Job]:
    """Submit one job, under an id made here unless the caller has one or a key."""
    body = job_body({"name": name, "data": data, **fields})
    if idempotency_key is None:
        body.setdefault("job_id", new_id())
    return Call("POST", "/jobs", _job, body=to_json(body), headers=_under(idempotency_key))


def estimate(name: str | None, data: Json, fields: Mapping[str, Any]) -> Call[Mapping[str, Any]]:
    """What a job would cost."""
    body = to_json(job_body({"name": name, "data": data, **fields}))
    return Call("POST", "/jobs", lambda wire: dict(wire["estimate"]), body=body, params=[("dry_run", "true")])


def batch_entry(fields: Mapping[str, Any]) -> dict[str, Any]:
    """One job of a batch, under an id made here unless the caller has one."""
    return {"job_id": new_id(), **job_body(fields)}


def submit_chunk(chunk: Sequence[bytes], first_index: int) -> Call[Batch]:
    """Submit jobs already written as JSON; the answer counts from `first_index`."""
    body = b'{"jobs":[' + b",".join(chunk) + b"]}"
    return Call("POST", "/jobs/batch", lambda wire: Batch.from_wire(wire, first_index), body=body)


def get(job_id: str) -> Call[Job]:
    """One job with its data and result."""
    return Call("GET", _path("jobs", job_id), _job)


def page(filters: Mapping[str, Any], limit: int, cursor: str | None) -> Call[Page]:
    """A page of jobs, newest first."""
    params = [*filter_params(filters), ("limit", str(limit))]
    return Call("GET", "/jobs", Page.from_wire, params=[*params, ("cursor", cursor)] if cursor else params)


def cancel(job_id: str, reason: str | None) -> Call[Job]:
    """Stop a job."""
    return _post(_path("jobs", job_id, "cancel"), _job, {"reason": reason} if reason else {})


def retry(job_id: str, counted: bool) -> Call[Job]:
    """Start an ended job over. Twice could mean two more runs, so it is not repeated blindly."""
    return _post(_path("jobs", job_id, "retry"), _job, {"counted": True} if counted else {}, repeatable=False)


def set_priority(job_id: str, priority: int | str) -> Call[Job]:
    """Move a waiting job."""
    return _post(_path("jobs", job_id, "priority"), _job, {"priority": priority})


def delete(job_id: str) -> Call[str]:
    """Cancel a live job, erase an ended one. Twice would do both, so it is not repeated blindly."""
    return Call("DELETE", _path("jobs", job_id), lambda wire: str(wire["action"]), repeatable=False)


def submit_dag(body: Mapping[str, Any], idempotency_key: str | None) -> Call[DagRun]:
    """Submit a run, under an id made here unless the caller has one or a key."""
    named = body if idempotency_key is not None else {"dag_id": new_id(), **body}
    return Call("POST", "/dags", _dag, body=to_json(named, "the run"), headers=_under(idempotency_key))


def validate_dag(body: Mapping[str, Any]) -> Call[Mapping[str, int]]:
    """Check a run without submitting it."""
    return _post("/dags/validate", lambda wire: {name: int(wire["dag"][name]) for name in _EXTENT}, body)


def dag(dag_id: str) -> Call[DagRun]:
    """One run."""
    return Call("GET", _path("dags", dag_id), _dag)


MOST_RUNS = 200
"""In one answer."""


def dags(state: str | None, limit: int, cursor: str | None) -> Call[tuple[list[DagRun], str | None]]:
    """Runs, newest first, at most `limit` and `MOST_RUNS`, and where to go on."""
    given = {"limit": str(min(limit, MOST_RUNS)), "state": state, "cursor": cursor}
    params = [(name, value) for name, value in given.items() if value is not None]

    def read(wire: Any) -> tuple[list[DagRun], str | None]:
        return [DagRun.from_wire(each) for each in wire["dags"]], wire["next_cursor"]

    return Call("GET", "/dags", read, params=params)


def dag_graph(dag_id: str, format_name: str) -> Call[Any]:
    """The picture of a run."""
    return Call("GET", _path("dags", dag_id, "graph"), lambda wire: wire["graph"], params=[("format", format_name)])


def dag_next(dag_id: str) -> Call[Job | None]:
    """The next ready job of a run."""
    path = _path("dags", dag_id, "next")
    return Call("GET", path, lambda wire: None if wire["job"] is None else Job.from_wire(wire["job"]))


def cancel_dag(dag_id: str, reason: str | None) -> Call[DagRun]:
    """Stop a run."""
    return _post(_path("dags", dag_id, "cancel"), _dag, {"reason": reason} if reason else {})


def resume_dag(dag_id: str) -> Call[DagRun]:
    """Go on with an ended run. Not repeatable: a second one would find the run open."""
    return replace(_post(_path("dags", dag_id, "resume"), _dag, {}), repeatable=False)


def logs(job_id: str, after: str | None, limit: int, level: str | None) -> Call[LogPage]:
    """A page of a job's log, oldest first."""
    params = [("limit", str(limit))]
    params += [(name, value) for name, value in (("after", after), ("level", level)) if value is not None]
    return Call("GET", _path("jobs", job_id, "logs"), LogPage.from_wire, params=params)


def history(job_id: str) -> Call[History]:
    """A job's attempts and states."""
    return Call("GET", _path("jobs", job_id, "history"), History.from_wire)


def why(job_id: str) -> Call[Why]:
    """What keeps a job from running, or ended it."""
    return Call("GET", _path("jobs", job_id, "why"), lambda wire: Why.from_wire(wire["why"]))


def queues() -> Call[tuple[Queue, ...]]:
    """Every queue."""
    return Call("GET", "/queues", lambda wire: tuple(Queue.from_wire(each) for each in wire["queues"]))


def queue(name: str) -> Call[Queue]:
    """One queue."""
    return Call("GET", _path("queues", name), _queue)


def put_queue(name: str, settings: Mapping[str, Any]) -> Call[Queue]:
    """Make or replace a queue."""
    return Call("PUT", _path("queues", name), _queue, body=to_json(dict(settings)))


def patch_queue(name: str, settings: Mapping[str, Any]) -> Call[Queue]:
    """Change settings of a queue."""
    return Call("PATCH", _path("queues", name), _queue, body=to_json(dict(settings)))


def pause_queue(name: str, reason: str | None) -> Call[Queue]:
    """Start no more jobs of a queue."""
    return _post(_path("queues", name, "pause"), _queue, {"reason": reason} if reason else {})


def resume_queue(name: str) -> Call[Queue]:
    """Start jobs of a queue again."""
    return _post(_path("queues", name, "resume"), _queue, {})


def stats() -> Call[Stats]:
    """How many jobs stand where."""
    return Call("GET", "/stats", lambda wire: Stats.from_wire(wire["stats"]))


def workers() -> Call[tuple[Worker, ...]]:
    """Every worker that is alive."""
    return Call("GET", "/workers", lambda wire: tuple(Worker.from_wire(each) for each in wire["workers"]))


def health() -> Call[Health]:
    """Whether the server is up."""
    return Call("GET", "/health", Health.from_wire)


def whoami() -> Call[Identity]:
    """Whose token this is."""
    return Call("GET", "/whoami", Identity.from_wire)


def _post(
    path: str, read: Callable[[Mapping[str, Any]], T], body: Mapping[str, Any], *, repeatable: bool = True
) -> Call[T]:
    return Call("POST", path, read, body=to_json(dict(body)), repeatable=repeatable)


def _path(collection: str, name: str, *rest: str) -> str:
    if not name or name in (".", ".."):
        raise InvalidInput.field("id" if collection == "jobs" else "name", f"'{name}' cannot be one")
    return "/" + "/".join((collection, quote(name, safe=""), *rest))


def _job(wire: Mapping[str, Any]) -> Job:
    return Job.from_wire(wire["job"])


def _under(idempotency_key: str | None) -> Mapping[str, str]:
    """The header that makes a request one with all others of the same key. Raises InvalidInput."""
    if idempotency_key is None:
        return {}
    if not (idempotency_key.isascii() and idempotency_key.isprintable() and idempotency_key.strip()):
        raise InvalidInput.field("idempotency_key", "must be printable ASCII text")
    return {"Idempotency-Key": idempotency_key}


_EXTENT = ("nodes", "edges", "depth")


def _dag(wire: Mapping[str, Any]) -> DagRun:
    return DagRun.from_wire(wire["dag"])


def _queue(wire: Mapping[str, Any]) -> Queue:
    return Queue.from_wire(wire["queue"])


post, path_of, job_in = _post, _path, _job
"""For the calls of workers, in `work.py`."""
