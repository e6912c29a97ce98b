"""Step Functions on moto: the real state machine, interpreted, with our own handlers behind its Lambda tasks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core.config import default_user_config
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from tidegate.local.functions import Context

from .moto_guard import given_up

Handler = Callable[[dict[str, Any], Any], Any]
_ROLE = "arn:aws:iam::123456789012:role/states"
_PAUSE_SECONDS = 0.02


@contextmanager
def interpreted(handlers: Mapping[str, Handler]) -> Iterator[None]:
    """While it lasts, moto runs state machines, and `Invoke` calls the handler of the function's name."""

    def invoke(_: Any, function_name: str, __: Any, body: Any, ___: Any, response_headers: Any) -> bytes:
        name = function_name.rpartition(":")[2]
        with given_up():
            try:
                return json.dumps(handlers[name](json.loads(body or "{}"), Context(name))).encode()
            except Exception as error:
                response_headers["x-amz-function-error"] = "Unhandled"
                return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__}).encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(default_user_config, "stepfunctions", {"execute_state_machine": True})
        patch.setitem(default_user_config, "lambda", {"use_docker": False})
        patch.setattr(LambdaSimpleBackend, "invoke", invoke)
        yield


class Machine:
    """One state machine on moto, and what becomes of its executions."""

    def __init__(self, stepfunctions: Any, name: str, definition: str) -> None:
        self._client = stepfunctions
        made = stepfunctions.create_state_machine(name=name, definition=definition, roleArn=_ROLE)
        self.arn = str(made["stateMachineArn"])

    def executions(self) -> list[str]:
        """The ARNs of all executions, in the order of their names."""
        found = self._client.list_executions(stateMachineArn=self.arn)["executions"]
        return [str(each["executionArn"]) for each in sorted(found, key=lambda each: str(each["name"]))]

    def ended(self, execution: str, seconds: float = 20.0) -> Mapping[str, Any]:
        """The execution once it has ended. Raises AssertionError when it does not in time."""
        end = time.monotonic() + seconds
        while (found := self._client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < end, f"still running after {seconds} s: {self.entered(execution)}"
            time.sleep(_PAUSE_SECONDS)
        return dict(found)

    def entered(self, execution: str) -> list[str]:
        """The states that it entered, in order."""
        return [each["stateEnteredEventDetails"]["name"] for each in self._events(execution, "StateEntered")]

    def reached(self, execution: str, state: str, times: int = 1, seconds: float = 20.0) -> None:
        """Wait until a task of that state is under way for the so-many-th time."""
        end = time.monotonic() + seconds
        while self.entered(execution).count(state) < times:
            assert time.monotonic() < end, f"{state} was not reached: {self.entered(execution)}"
            time.sleep(_PAUSE_SECONDS)

    def failures(self, execution: str) -> list[dict[str, Any]]:
        """Error and cause of each task that failed."""
        return [dict(each["taskFailedEventDetails"]) for each in self._events(execution, "TaskFailed")]

    def transitions(self, execution: str) -> int:
        """What AWS bills: each state entered, and each retry; the start and the end are counted as well, to be safe."""
        return len(self.entered(execution)) + len(self._events(execution, "TaskFailed")) + 2

    def stop(self, execution: str) -> None:
        """What someone does in the console.

        moto marks the execution, but goes on waiting for its token: that it is over is said here.
        """
        self._client.stop_execution(executionArn=execution)
        BaseExecutionWorkerCommunication(self._running(execution)).terminated()

    def delete(self) -> None:
        """Stop all executions, so that no thread of theirs is left, and forget the machine."""
        for execution in self.executions():
            self._client.stop_execution(executionArn=execution)
            for waiting in self._running(execution).exec_worker.env.callback_pool_manager._pool.values():
                waiting.interrupt_all()
        self._client.delete_state_machine(stateMachineArn=self.arn)

    def _running(self, execution: str) -> Any:
        executions = stepfunctions_parser_backends[self.arn.split(":")[4]][self.arn.split(":")[3]]._get_executions()
        return next(each for each in executions if each.execution_arn == execution)

    def stopped_event(self, stopped: Mapping[str, Any]) -> dict[str, Any]:
        """What EventBridge says of an execution that was described as stopped; moto does not send it.

        Its thread may still be under way in moto, and mark it as failed a moment later.
        """
        assert stopped["status"] == "ABORTED"
        detail = {name: stopped[name] for name in ("executionArn", "stateMachineArn", "name", "status", "input")}
        return {
            "version": "0",
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "resources": [stopped["executionArn"]],
            "detail": detail,
        }

    def _events(self, execution: str, kind: str) -> list[dict[str, Any]]:
        history = self._client.get_execution_history(executionArn=execution)["events"]
        return [dict(event) for event in history if event["type"].endswith(kind)]
