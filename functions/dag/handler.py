"""One task of a run's supervisor, or the news that someone stopped it → one step of `service/supervise.py`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from tidegate import runtime
from tidegate.domain.correlation import Correlation
from tidegate.domain.dag.run import RunState
from tidegate.domain.errors import InvalidInput, NotFound
from tidegate.execution.correlating import correlated
from tidegate.execution.discreet import discreet
from tidegate.execution.emf import publish
from tidegate.service import supervise
from tidegate.service.run_ends import outcome_of_run
from tidegate.service.supervise import Watch

_log = logging.getLogger("tidegate.dag")
ENDED: Mapping[RunState, str] = {
    RunState.COMPLETED: "RunsCompleted",
    RunState.FAILED: "RunsFailed",
    RunState.CANCELLED: "RunsCancelled",
    RunState.EXPIRED: "RunsExpired",
}


@discreet
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Do what `task` names (`release`, `wait`, `deadline`, `close`) for the run of the execution's input.

    `release` and `deadline` answer the `seconds` to wait for the run's end, `close` how it stands. EventBridge's
    "Step Functions Execution Status Change" stops the run of an execution that was aborted. Raises NotFound,
    Unavailable and InvalidInput; the state machine repeats what is worth repeating.
    """
    if event.get("source") == "aws.states":
        return {"stopped": _stopped(event["detail"])}
    with correlated(_correlation(event)):
        return _step(event)


def _step(event: Mapping[str, Any]) -> dict[str, Any]:
    ports, watch = runtime.current().ports, _watch(event)
    match event["task"]:
        case "release":
            return {"seconds": supervise.take_up(ports, watch)}
        case "wait":
            supervise.await_end(ports, watch, event["token"])
            return {}
        case "deadline":
            return {"seconds": supervise.keep_time(ports, watch)}
        case "close":
            run = supervise.close_run(ports, watch)
            publish(runtime.current().settings.cloud_stage, {ENDED[run.state]: 1} if run.state in ENDED else {})
            return outcome_of_run(run)
        case unknown:
            raise InvalidInput.field("task", f"'{unknown}' is not release, wait, deadline or close")


def _stopped(detail: Mapping[str, Any]) -> bool:
    """Whether a run was stopped because its supervisor was."""
    begun, extra = json.loads(detail["input"]), {"action": "supervisor_stopped"}
    with correlated(_correlation(begun)):
        try:
            stopped = supervise.stop_with_supervisor(runtime.current().ports, _watch(begun))
        except NotFound as error:
            _log.warning("execution %s: %s", detail["name"], error.message, extra=extra)
            return False
        _log.warning("execution %s was stopped", detail["name"], extra=extra)
        return stopped


def _correlation(source: Mapping[str, Any]) -> Correlation | None:
    """The request that the run was made by."""
    found = source.get("correlation_id")
    return Correlation(found) if found else None


def _watch(source: Mapping[str, Any]) -> Watch:
    return Watch(source["tenant"], source["dag_id"], int(source["resumed"]))
