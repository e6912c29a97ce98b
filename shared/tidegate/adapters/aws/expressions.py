"""Guarded writes and queries as DynamoDB expressions. Every name and value is a placeholder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.domain.guard import Guard, GuardedWrite
from tidegate.domain.job import TERMINAL, HardMiss, Job, Ms, Sla
from tidegate.ports import JobQuery

from .attributes import AttributeValue
from .records import TTL, changes_of_values
from .spreads import Spreads

UNUSED = "attribute_not_exists(pk)"
"""There is no item under the key."""


class Placeholders:
    """Gathers the names and values of one request's expressions."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, AttributeValue] = {}

    def name(self, attribute: str) -> str:
        """The placeholder of an attribute's name."""
        return self._names.setdefault(attribute, f"#n{len(self._names)}")

    def value(self, value: AttributeValue) -> str:
        """A placeholder for a value."""
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder

    def number(self, value: int) -> str:
        """A placeholder for a number."""
        return self.value({"N": str(int(value))})

    def text(self, value: str) -> str:
        """A placeholder for a text."""
        return self.value({"S": value})

    def arguments(self) -> dict[str, Any]:
        """What the request must carry: DynamoDB refuses empty maps."""
        names = {placeholder: attribute for attribute, placeholder in self._names.items()}
        return {
            **({"ExpressionAttributeNames": names} if names else {}),
            **({"ExpressionAttributeValues": self._values} if self._values else {}),
        }


def update_for(write: GuardedWrite, key: str, spreads: Spreads) -> dict[str, Any]:
    """The arguments of the UpdateItem that is this write, for the job at sort key `key`."""
    marks = Placeholders()
    changes = changes_of_values(write.values)
    if write.spot is not None:
        changes |= {"board": None, "board_at": None, **spreads.attributes(write.spot, key)}
    return {
        "UpdateExpression": _update(changes, _increments(write), marks),
        "ConditionExpression": " AND ".join(("attribute_exists(pk)", *_guard(write.guard, marks))),
        **marks.arguments(),
    }


def creation(now: Ms) -> dict[str, Any]:
    """The condition of a new job: its place is free, or holds one whose time to live has passed."""
    marks = Placeholders()
    condition = f"{UNUSED} OR {marks.name(TTL)} <= {marks.number(now // 1000)}"
    return {"ConditionExpression": condition, **marks.arguments()}


def unchanged(job: Job) -> dict[str, Any]:
    """The condition that a job has ended and nobody has written to it since it was read."""
    marks = Placeholders()
    parts = [
        _among("state", sorted(TERMINAL), marks),
        f"{marks.name('attempt')} = {marks.number(job.attempt)}",
        f"{marks.name('updated_at')} = {marks.number(job.updated_at)}",
    ]
    return {"ConditionExpression": " AND ".join(parts), **marks.arguments()}


def ended() -> dict[str, Any]:
    """The condition that a job has ended."""
    marks = Placeholders()
    return {"ConditionExpression": _among("state", sorted(TERMINAL), marks), **marks.arguments()}


def equal_or_absent(expected: Mapping[str, AttributeValue | None]) -> dict[str, Any]:
    """The condition that every attribute has the expected value, or is absent where that is None."""
    marks = Placeholders()
    parts = [
        f"attribute_not_exists({marks.name(name)})" if value is None else f"{marks.name(name)} = {marks.value(value)}"
        for name, value in expected.items()
    ]
    return {"ConditionExpression": " AND ".join(parts), **marks.arguments()}


def filter_for(query: JobQuery, now: Ms, marks: Placeholders) -> str:
    """The filter of a listing: what `matches` says of a job, said of an item."""
    return " AND ".join((_still_kept(now, marks), *_wanted(query, marks)))


def matches(query: JobQuery, job: Job) -> bool:
    """Whether a job is one that the query asks for."""
    return (
        job.tenant == query.tenant
        and (not query.states or job.state in query.states)
        and all(getattr(job, name) == value for name, value in _equalities(query).items())
        and (query.tag is None or query.tag in job.tags)
        and all(job.metadata.get(key) == value for key, value in query.metadata.items())
        and (query.created_from is None or job.created_at >= query.created_from)
        and (query.created_to is None or job.created_at < query.created_to)
        and (query.ended_before is None or _before(job.completed_at, query.ended_before))
    )


def is_unfiltered(query: JobQuery) -> bool:
    """Whether a listing passes no job over."""
    given = (query.states, query.tag, query.metadata, query.ended_before, _equalities(query))
    return not any(part is not None and part != frozenset() and part != {} for part in given)


def was_made_by(write: GuardedWrite, job: Job) -> bool:
    """Whether a job that refused `write` looks exactly as `write` leaves it.

    botocore repeats a request whose answer got lost. The repetition finds the guard broken by its own first
    sending, and must not be taken for a defeat. Ask only about a request that was repeated. Then the job is as
    the write leaves it only if the write made it so:

    - a claim writes its worker and its time, and a worker claims a job once at a time;
    - a settlement, heartbeat or move is fenced by the attempt, which must still be the guard's;
    - a write that leaves the state alone must find one that its guard allows.

    Whoever changed the job in between makes this False: the answer is then a refusal, and the lease heals it.
    """
    attempt = write.guard.attempt
    return (
        (attempt is None or job.attempt == attempt + write.next_attempt)
        and ("state" in write.values or job.state in write.guard.states)
        and all(getattr(job, name) == value for name, value in write.values.items())
    )


def _increments(write: GuardedWrite) -> Mapping[str, int]:
    """The numbers that the write adds to."""
    steps = {"attempt": int(write.next_attempt), "cost": write.charge}
    return {name: step for name, step in steps.items() if step}


def _update(changes: Mapping[str, AttributeValue | None], steps: Mapping[str, int], marks: Placeholders) -> str:
    sets = [f"{marks.name(name)} = {marks.value(value)}" for name, value in changes.items() if value is not None]
    removals = [marks.name(name) for name, value in changes.items() if value is None]
    adds = [f"{marks.name(name)} {marks.number(step)}" for name, step in steps.items()]
    clauses = (("SET", sets), ("REMOVE", removals), ("ADD", adds))
    return " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts)


def _guard(guard: Guard, marks: Placeholders) -> Iterable[str]:
    """Each part of the guard as a condition; an absent attribute makes every comparison false."""
    # the job is in one of the states
    yield _among("state", sorted(guard.states), marks)
    if guard.attempt is not None:
        # the caller's attempt is the current one
        yield f"{marks.name('attempt')} = {marks.number(guard.attempt)}"
    if guard.woken_by is not None:
        # its time has come
        wake_at = marks.name("wake_at")
        yield f"(attribute_not_exists({wake_at}) OR {wake_at} <= {marks.number(guard.woken_by)})"
    if guard.unexpired_at is not None:
        # its time has not run out
        expires_at = marks.name("expires_at")
        yield f"(attribute_not_exists({expires_at}) OR {expires_at} > {marks.number(guard.unexpired_at)})"
    if guard.expired_by is not None:
        # its time has run out
        yield f"{marks.name('expires_at')} <= {marks.number(guard.expired_by)}"
    if guard.lease_ended_by is not None:
        # its holder let the lease run out
        yield f"{marks.name('lease_until')} <= {marks.number(guard.lease_ended_by)}"
    if guard.lease_seen is not None:
        # nobody extended its lease since the caller looked
        yield f"{marks.name('lease_until')} = {marks.number(guard.lease_seen)}"
    if guard.cancel_requested is not None:
        # a stop has, or has not, been asked for; `False` is stored as an absent attribute
        function = "attribute_exists" if guard.cancel_requested else "attribute_not_exists"
        yield f"{function}({marks.name('cancel_requested')})"

    if guard.seen_at is not None:
        # nobody has written it since the caller looked
        yield f"{marks.name('updated_at')} = {marks.number(guard.seen_at)}"
    if guard.blocked is not None:
        # it waits, or does not wait, for other nodes of its run
        function = "attribute_exists" if guard.blocked else "attribute_not_exists"
        yield f"{function}({marks.name('blocked')})"
    yield from _deadlines_guard(guard, marks)


def _deadlines_guard(guard: Guard, marks: Placeholders) -> Iterable[str]:
    if guard.sla_below is not None:
        # not so much has been noted of its deadlines; nothing is stored as an absent attribute
        sla = marks.name("sla")
        yield f"(attribute_not_exists({sla}) OR {sla} < {marks.number(guard.sla_below)})"
    if guard.unstopped_at is not None:
        # its hard deadline is to come, has been dealt with, or is only told
        hard_sla, sla = marks.name("hard_sla"), marks.name("sla")
        told = f"{marks.name('on_hard_miss')} = {marks.text(HardMiss.ONLY_TELL)}"
        to_come = f"attribute_not_exists({hard_sla}) OR {hard_sla} >= {marks.number(guard.unstopped_at)}"
        yield f"({to_come} OR {told} OR {sla} >= {marks.number(Sla.HARD_MISSED)})"


def _wanted(query: JobQuery, marks: Placeholders) -> Iterable[str]:
    if query.states:
        yield _among("state", sorted(query.states), marks)
    for name, value in _equalities(query).items():
        yield f"{marks.name(name)} = {marks.text(value)}"
    if query.tag is not None:
        yield f"contains({marks.name('tags')}, {marks.text(query.tag)})"
    for key, value in query.metadata.items():
        yield f"{marks.name('metadata')}.{marks.name(key)} = {marks.text(value)}"
    if query.created_from is not None:
        yield f"{marks.name('created_at')} >= {marks.number(query.created_from)}"
    if query.created_to is not None:
        yield f"{marks.name('created_at')} < {marks.number(query.created_to)}"
    if query.ended_before is not None:
        yield f"{marks.name('completed_at')} < {marks.number(query.ended_before)}"


def _before(time: Ms | None, limit: Ms) -> bool:
    return time is not None and time < limit


def _equalities(query: JobQuery) -> dict[str, str]:
    asked = {name: getattr(query, name) for name in ("queue", "name", "owner", "dag_id")}
    return {name: value for name, value in asked.items() if value is not None}


def _among(attribute: str, choices: Iterable[str], marks: Placeholders) -> str:
    """The attribute is one of the choices; of none, it is never one (an empty list is not allowed)."""
    values = [marks.text(str(choice)) for choice in choices] or [marks.text("")]
    return f"{marks.name(attribute)} IN ({', '.join(values)})"


def _still_kept(now: Ms, marks: Placeholders) -> str:
    ttl = marks.name(TTL)
    return f"(attribute_not_exists({ttl}) OR {ttl} > {marks.number(now // 1000)})"
