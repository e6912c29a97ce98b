"""What is due once a run has ended: it is announced, whoever waits is told, and nobody watches over it any longer.

All of it may be done again: an event keeps its id, a supervisor that was told is not there to be told once more, and
the clock finds every ended run that was not let go.
"""

from __future__ import annotations

import json
from typing import Any

from tidegate.domain.dag.run import Run, RunState, kept_until
from tidegate.domain.events import run_event
from tidegate.ports import Ports, Watched


def announce_run(ports: Ports, run: Run, kind: str | None = None) -> None:
    """Announce a step of a run's life; that it ended, if no other `kind` is given."""
    at = run.completed_at if kind is None else None
    ports.events.publish([run_event(run, kind, ports.now() if at is None else at)])


def settle(ports: Ports, run: Run) -> None:
    """Tell the supervisor of an ended run, whose last step then closes it; without one, close it here."""
    if run.supervisor_token is None or not ports.supervisors.tell(run.supervisor_token, outcome_of_run(run)):
        close(ports, run)


def close(ports: Ports, run: Run) -> None:
    """Announce the end of an ended run, tell who waits for it, and let it go."""
    announce_run(ports, run)
    tell_who_waits(ports, run)
    ports.dags.let_go(Watched(run.tenant, run.id), run.resumed, kept_until(run))


def tell_who_waits(ports: Ports, run: Run) -> None:
    """Call back the task of someone's state machine that waits for an ended run."""
    if run.task_token is None:
        return
    if run.state is RunState.COMPLETED:
        ports.supervisors.tell(run.task_token, outcome_of_run(run))
    else:
        cause = {**outcome_of_run(run), "reason": run.reason}
        ports.supervisors.fail(run.task_token, f"Run{run.state.value.title()}", json.dumps(cause))


def outcome_of_run(run: Run) -> dict[str, Any]:
    """How a run stands, for its supervisor."""
    return {"dag_id": run.id, "state": run.state.value}
