"""Why a job is not running, why it still runs, or why it ended as it did: facts in, one sentence and gates out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.domain.job import TERMINAL, Job, Ms, State

from .gate import Gate, GateName
from .past import ended, running, running_since
from .waiting import Surroundings, gates_of


@dataclass(frozen=True, slots=True)
class Why:
    """The answer for one job: `verdict` is one sentence, `gates` are all that were looked at."""

    job_id: str
    state: State
    verdict: str
    gates: tuple[Gate, ...]
    expected_start: Ms | None
    """An estimate for a job that waits; None where nothing tells. With more ahead than were counted: not before."""


def explain(job: Job, around: Surroundings) -> Why:
    """What keeps the job from running, or ended it."""
    if job.state in TERMINAL:
        gate = ended(job, around.before)
        return Why(job.id, job.state, _sentence(gate.message), (gate,), None)
    if job.state is State.ACTIVE:
        gates = tuple(running(job, around.now))
        return Why(job.id, job.state, _sentence(running_since(job, gates, around.now)), gates, None)
    gates = tuple(gates_of(job, around))
    return Why(job.id, job.state, _sentence(_waits(gates)), gates, _expected_start(job, gates, around))


def _waits(gates: Sequence[Gate]) -> str:
    holding = [gate.message for gate in gates if gate.holds]
    if not holding:
        return "it is ready and starts as soon as a worker is free"
    return "not started: " + "; and ".join(holding)


def _sentence(clause: str) -> str:
    return clause[0].upper() + clause[1:].rstrip(".") + "."


_BLIND = frozenset({GateName.UPSTREAM, GateName.EXPIRY, GateName.QUEUE_PAUSED})
"""Gates of which nobody knows when they open."""


def _expected_start(job: Job, gates: Sequence[Gate], around: Surroundings) -> Ms | None:
    """When the job starts if all goes on as it lately did."""
    if any(gate.holds and gate.name in _BLIND for gate in gates):
        return None
    earliest, line, limits = max(around.now, job.wake_at or 0), around.line, around.limits
    if limits.rate is not None and limits.rate.full:
        earliest = max(earliest, limits.rate.ends_at)
    if around.workers is not None and around.workers.absent:
        return None
    full = any(each is not None and each.full for each in (limits.tenant, limits.slots, limits.key, around.workers))
    first = (line.ahead if line is not None else 0) + full
    if not first:
        return earliest
    if line is None or not line.starts_per_minute:
        return None
    return max(earliest, around.now + round(first * 60_000 / line.starts_per_minute))
