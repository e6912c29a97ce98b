"""Webhooks: changes become deliveries, which are ordinary jobs of a queue of their own.

So they survive crashes, are retried with backoff, and their history is that of jobs. They are made by the change
feed, never where a job is submitted, claimed or settled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.change import Change
from tidegate.domain.errors import Conflict, NotFound, TidegateError
from tidegate.domain.job import COARSE, Job, Json, Ms, State
from tidegate.domain.spec import MAX_BATCH, JobSpec, dump_json
from tidegate.domain.webhook import (
    WEBHOOK_EXECUTOR,
    WEBHOOK_QUEUE,
    event_data,
    event_of,
    message_id,
    wants,
)
from tidegate.ports import JobKey, JobQuery, Ports

from .control import list_jobs, visible_job
from .policies import queue_named
from .submit import submit

_MAX_RESULT_BYTES = 20_000
_PAGES = 10
_PAGE = 100
NOBODY = "tidegate"
"""Who owns the deliveries about a job that is gone already."""


@dataclass(frozen=True, slots=True)
class _Message:
    change: Change
    state: State
    """The state that was entered."""
    url: str


def send_webhooks(ports: Ports, changes: Sequence[Change]) -> int:
    """Submit a delivery for each change that someone wants to be told of; answers how many.

    The same changes make the same deliveries, so a batch may come again. Raises Unavailable.
    """
    queues: dict[tuple[str, str], Json] = {}
    messages = [message for change in changes for message in _messages(ports, change, queues)]
    if not messages:
        return 0
    keys = list(dict.fromkeys(JobKey(each.change.tenant, each.change.job_id) for each in messages))
    jobs = dict(zip(keys, ports.jobs.get(keys), strict=True))
    deliveries = [_delivery(each, jobs[JobKey(each.change.tenant, each.change.job_id)]) for each in messages]
    for (tenant, owner), group in groupby(sorted(deliveries, key=_whose), _whose):
        _submit(ports, Caller(tenant, owner, frozenset({Scope.SUBMIT})), [spec for *_, spec in group])
    return len(messages)


def deliveries(ports: Ports, caller: Caller, job_id: str) -> Sequence[Job]:
    """The deliveries about a job, newest first, as the jobs that they are. Raises NotFound."""
    caller.require(Scope.READ)
    job = visible_job(ports, caller, job_id)
    query = JobQuery(
        tenant=caller.tenant,
        queue=WEBHOOK_QUEUE,
        metadata={"job_id": job_id},
        created_from=job.created_at,
        limit=_PAGE,
    )
    found: list[Job] = []
    for _ in range(_PAGES):
        page = list_jobs(ports, caller, query)
        found += page.jobs
        if page.next_cursor is None:
            break
        query = replace(query, cursor=page.next_cursor)
    return found


def _messages(ports: Ports, change: Change, queues: dict[tuple[str, str], Json]) -> Iterator[_Message]:
    """One for each address that is to be told of the change. `queues` remembers whom each queue names."""
    if change.state is None or change.state is change.old_state or change.queue == WEBHOOK_QUEUE:
        return
    queue = change.tenant, change.queue
    if queue not in queues:
        queues[queue] = _queue_webhook(ports, *queue)
    state, hooks = change.state, (change.webhook, queues[queue])
    if hooks == (None, None):
        return
    urls = dict.fromkeys(hook["url"] for hook in hooks if wants(hook, event_of(change.old_state, state)))
    yield from (_Message(change, state, url) for url in urls)


def _queue_webhook(ports: Ports, tenant: str, queue: str) -> Json:
    try:
        return queue_named(ports, tenant, queue).webhook
    except NotFound:
        return None


def _delivery(message: _Message, job: Job | None) -> tuple[str, str, JobSpec]:
    change, state = message.change, message.state
    event = event_of(change.old_state, state)
    key = (change.tenant, change.job_id)
    spec = JobSpec(
        name=WEBHOOK_EXECUTOR,
        queue=WEBHOOK_QUEUE,
        job_id=message_id(key, state, change.attempt, change.at, message.url),
        data={"url": message.url, "queue": change.queue, "message": _body(change, state, event, job)},
        tags=(event,),
        metadata={"job_id": change.job_id, "event": event},
    )
    return change.tenant, NOBODY if job is None else job.owner, spec


def _whose(delivery: tuple[str, str, JobSpec]) -> tuple[str, str]:
    tenant, owner, _ = delivery
    return tenant, owner


def _body(change: Change, state: State, event: str, job: Job | None) -> Mapping[str, Json]:
    """What is sent, as Standard Webhooks lays it out: the change as it was, whatever came since."""
    data: dict[str, Json] = {
        "job_id": change.job_id,
        "queue": change.queue,
        "state": state.value,
        "status": COARSE[state],
        "attempt": change.attempt,
        "started_at": _time(change.started_at),
    }
    if job is not None:
        data["created_at"] = _time(job.created_at)
        if (job.state, job.attempt) == (state, change.attempt):
            size = len(dump_json("result", job.result).encode())
            data |= event_data(job, max_result_bytes=_MAX_RESULT_BYTES, size_of=size)
    return {"type": event, "timestamp": _time(change.at), "data": data}


def _submit(ports: Ports, caller: Caller, specs: Sequence[JobSpec]) -> None:
    for start in range(0, len(specs), MAX_BATCH):
        for result in submit(ports, caller, specs[start : start + MAX_BATCH], internal=True):
            # A conflict is a delivery that was made before, when the job could still be read as it was.
            if isinstance(result, TidegateError) and not isinstance(result, Conflict):
                raise result


def _time(at: Ms | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
