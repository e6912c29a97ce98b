"""From committed changes of jobs to the events that people get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidegate.domain.change import Change
from tidegate.domain.events import SLA_EVENTS, Event, event_type
from tidegate.domain.job import Ms, State
from tidegate.ports import Ports


def announce_changes(ports: Ports, changes: Sequence[Change]) -> None:
    """Announce every transition, and what is told of deadlines, at least once each. Raises Unavailable.

    Heartbeats, progress and moves in a lane are changes too, but no transitions.
    """
    events = list(events_of(changes, ports.now()))
    if events:
        ports.events.publish(events)


def events_of(changes: Sequence[Change], now: Ms) -> Iterator[Event]:
    """The events among the changes; a job that was erased has no time of its own, so it gets `now`."""
    for change in changes:
        for sla in change.told:
            yield _event(f"{change.id}-sla{sla}", SLA_EVENTS[sla], change.state, change, now)
        if _is_transition(change):
            yield _event(change.id, event_type(change.old_state, change.state), change.old_state, change, now)


def _event(event_id: str, kind: str, old_state: State | None, change: Change, now: Ms) -> Event:
    return Event(
        id=event_id,
        type=kind,
        at=now if change.state is None else change.at,
        tenant=change.tenant,
        owner=change.owner,
        job_id=change.job_id,
        name=change.name,
        queue=change.queue,
        old_state=old_state,
        state=change.state,
        attempt=change.attempt,
        details=_current(change),
    )


_WITH_ERROR = frozenset({State.RETRY, State.FAILED, State.CANCELLED})


def _current(change: Change) -> Mapping[str, Any]:
    """The details without the error of an attempt before: a job keeps it until the next one has ended."""
    if change.state in _WITH_ERROR:
        return change.details
    return {name: value for name, value in change.details.items() if not name.startswith("error_")}


def _is_transition(change: Change) -> bool:
    """Another state, or another attempt: a worker took over from one that vanished."""
    taken_over = change.old_attempt is not None and change.old_attempt != change.attempt
    return change.old_state is not change.state or taken_over
