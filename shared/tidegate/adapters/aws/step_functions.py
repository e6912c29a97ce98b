"""Supervisors of runs, and tasks that wait for jobs: executions of state machines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from tidegate.adapters.unsupervised import ClockAlone
from tidegate.domain.dag.run import Run, supervisor_name
from tidegate.domain.job import Json
from tidegate.ports import Supervisors

from .clients import Clients, code_of, request

_NOBODY_WAITS = frozenset({"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"})
_MAX_CAUSE = 32_768
"""Characters of a cause that Step Functions takes."""


class Executions:
    """`Supervisors`: one Standard execution for each life of a run, named after it, so that none is started twice."""

    def __init__(self, clients: Clients, state_machine: str, *, calls_back: bool) -> None:
        self._clients = clients
        self._state_machine = state_machine
        self.calls_back = calls_back

    def start(self, run: Run) -> bool:
        """See `Supervisors.start`. An execution of that name that has ended is not started again."""
        watched = {"tenant": run.tenant, "dag_id": run.id, "resumed": run.resumed, "correlation_id": run.correlation_id}
        try:
            request(
                self._clients.stepfunctions.start_execution,
                stateMachineArn=self._state_machine,
                name=supervisor_name(run),
                input=json.dumps(watched),
            )
        except ClientError as error:
            if code_of(error) != "ExecutionAlreadyExists":
                raise
        return True

    def tell(self, token: str, outcome: Mapping[str, Json]) -> bool:
        """See `Supervisors.tell`."""
        return _told(self._clients.stepfunctions.send_task_success, taskToken=token, output=json.dumps(outcome))

    def fail(self, token: str, error: str, cause: str) -> bool:
        """See `Supervisors.fail`."""
        send = self._clients.stepfunctions.send_task_failure
        return _told(send, taskToken=token, error=error, cause=cause[:_MAX_CAUSE])


def supervisors_of(clients: Clients, state_machine: str, *, calls_back: bool) -> Supervisors:
    """The executions of a state machine; where its ARN is empty, the clock is alone.

    `calls_back`: other state machines may wait for jobs, and the functions may answer them.
    """
    return Executions(clients, state_machine, calls_back=calls_back) if state_machine else ClockAlone()


def _told(send: Callable[..., Any], **arguments: str) -> bool:
    try:
        request(send, **arguments)
    except ClientError as error:
        if code_of(error) in _NOBODY_WAITS:
            return False
        raise
    return True
