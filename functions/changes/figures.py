"""What CloudWatch shall see of a batch of changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from tidegate.domain.change import Change
from tidegate.domain.events import BudgetEvent
from tidegate.domain.job import Sla, State
from tidegate.execution.emf import publish as publish_figures

ENTERED: Mapping[State, str] = {
    State.CREATED: "JobsCreated",
    State.ACTIVE: "JobsStarted",
    State.RETRY: "JobsRetried",
    State.COMPLETED: "JobsCompleted",
    State.FAILED: "JobsFailed",
    State.CANCELLED: "JobsCancelled",
    State.EXPIRED: "JobsExpired",
}
"""The figure that counts the jobs which entered a state; explicit retries count as created again."""


TOLD: Mapping[Sla, str] = {
    Sla.AT_RISK: "SlaAtRisk",
    Sla.SOFT_MISSED: "SlaSoftMissed",
    Sla.HARD_MISSED: "SlaHardMissed",
}
MET = "SlaMet"


BUDGETS: Mapping[str, str] = {"budget.warned": "BudgetsWarned", "budget.reached": "BudgetsReached"}


def publish(stage: str | None, changes: Iterable[Change], budgets: Iterable[BudgetEvent] = ()) -> None:
    """Write counts and durations; nothing when nothing moved, nor where there is no stage."""
    if stage is None:
        return
    seen = list(changes)
    moved = [change for change in seen if change.state in ENTERED and change.state is not change.old_state]
    counts = Counter(ENTERED[change.state] for change in moved if change.state is not None)
    counts.update(TOLD[sla] for change in seen for sla in change.told)
    counts.update(MET for change in moved if change.met)
    counts.update(BUDGETS[event.type] for event in budgets)
    if not counts:
        return
    publish_figures(stage, {**counts, "JobDuration": list(_durations(moved))})


def _durations(changes: Iterable[Change]) -> Iterator[int]:
    """How long each completed job's last attempt took, in milliseconds."""
    for change in changes:
        if change.state is State.COMPLETED and change.started_at is not None:
            yield max(0, change.at - change.started_at)
