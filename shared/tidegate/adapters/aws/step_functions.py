"""Supervisors of runs: executions of the stage's state machine."""

from __future__ import annotations

import json
from collections.abc import Mapping

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from tidegate.adapters.unsupervised import ClockAlone
from tidegate.domain.dag.run import Run, supervisor_name
from tidegate.domain.job import Json
from tidegate.ports import Supervisors

from .clients import Clients, code_of, request

_NOBODY_WAITS = frozenset({"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"})


class Executions:
    """`Supervisors`: one Standard execution for each life of a run, named after it, so that none is started twice."""

    def __init__(self, clients: Clients, state_machine: str) -> None:
        self._clients = clients
        self._state_machine = state_machine

    def start(self, run: Run) -> bool:
        """See `Supervisors.start`. An execution of that name that has ended is not started again."""
        watched = {"tenant": run.tenant, "dag_id": run.id, "resumed": run.resumed}
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
        try:
            request(self._clients.stepfunctions.send_task_success, taskToken=token, output=json.dumps(outcome))
        except ClientError as error:
            if code_of(error) in _NOBODY_WAITS:
                return False
            raise
        return True


def supervisors_of(clients: Clients, state_machine: str) -> Supervisors:
    """The executions of a state machine; where its ARN is empty, the clock is alone."""
    return Executions(clients, state_machine) if state_machine else ClockAlone()
