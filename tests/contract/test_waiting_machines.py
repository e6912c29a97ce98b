"""Someone's own state machine waits for a job: the one in `examples/step_functions`, executed by moto's interpreter."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tidegate_functions.changes.handler import handler as changes

from support.attempts import ADMIN, serve, worker
from support.aws import BUCKET, JOBS, REGISTRY, Cloud
from support.inprocess import client_of
from support.step_functions import Machine, interpreted
from support.streams import JobsStream
from tidegate import runtime
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.domain.errors import InvalidInput
from tidegate.domain.spec import JobSpec
from tidegate.execution.context import JobContext, PermanentError
from tidegate.local.functions import Context
from tidegate.ports import Ports
from tidegate.runtime import App
from tidegate.service.control import cancel
from tidegate.service.runs import cancel_run, submit_dag
from tidegate.service.submit import submit_one
from tidegate.service.tokens import new_token
from tidegate.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "step_functions"


@dataclass
class Stage:
    """A deployment that others' machines may wait for, and such a machine."""

    cloud: Cloud
    app: App
    machine: Machine
    stream: JobsStream
    submitted: list[dict[str, Any]]

    @property
    def ports(self) -> Ports:
        return self.app.ports

    def start(self, name: str) -> str:
        """Start the machine; answers its execution once its job is there."""
        begun = self.cloud.clients.stepfunctions.start_execution(
            stateMachineArn=self.machine.arn, name=name, input=json.dumps({"document": {"path": "a.pdf"}})
        )
        self.until(lambda: bool(self.submitted))
        return str(begun["executionArn"])

    def until(self, check: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < end, "not in time"
            time.sleep(0.02)

    def work(self, extract: Callable[[JobContext], Any]) -> None:
        serve(self.ports, worker(self.ports, extract=extract))
        self.feed()

    def feed(self) -> None:
        records = self.stream.records()
        if records:
            assert changes({"Records": records}, Context("changes")) == {"batchItemFailures": []}


@pytest.fixture
def stage(aws: Cloud) -> Iterator[Stage]:
    aws.reset()
    example = importlib.util.spec_from_file_location("submit_example", EXAMPLE / "submit.py")
    assert example is not None
    assert example.loader is not None
    module = importlib.util.module_from_spec(example)
    example.loader.exec_module(module)
    made: list[Stage] = []

    def submit(event: dict[str, Any], _: Any) -> Any:
        """The example's Lambda, whose client reaches the API without a socket."""
        with client_of(made[0].app, token) as client:
            answer = module.submit(client, event)
        made[0].submitted.append(event)
        return answer

    with interpreted({"submit": submit}):
        text = (EXAMPLE / "machine.asl.json").read_text()
        definition = text.replace("${Submit}", "arn:aws:lambda:eu-west-1:123456789012:function:submit")
        machine = Machine(aws.clients.stepfunctions, "orders", definition)
        ports = aws.open(aws.queue_urls(), state_machine=machine.arn, calls_back=True)
        token, record = new_token(ports.now(), tenant="main", user="admin", scopes=["submit", "read"])
        ports.tokens.put(record)
        settings = Settings(jobs_table=JOBS, registry_table=REGISTRY, bucket=BUCKET, pools=aws.queue_urls())
        made.append(Stage(aws, App(ports, settings), machine, JobsStream(aws.clients.dynamodb), []))
        with runtime.use(made[0].app):
            try:
                yield made[0]
            finally:
                machine.delete()


def test_the_machine_goes_on_with_the_result_of_the_job(stage: Stage) -> None:
    execution = stage.start("order-1")
    stage.work(lambda job: {"characters": len(job.data["path"])})
    ended = stage.machine.ended(execution)
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", {"characters": 5})
    assert stage.machine.entered(execution) == ["Extract", "Long enough?", "Done"]


def test_a_job_that_fails_fails_the_task_by_name(stage: Stage) -> None:
    def refuse(job: JobContext) -> None:
        raise PermanentError("torn")

    execution = stage.start("order-2")
    stage.work(refuse)
    assert stage.machine.ended(execution)["error"] == "Unreadable"
    assert stage.machine.failures(execution)[0]["error"] == "JobFailed"


def test_a_job_that_is_cancelled_fails_the_task_by_name(stage: Stage) -> None:
    execution = stage.start("order-3")
    cancel(stage.ports, ADMIN, "order-3-extract", "not needed")
    stage.feed()
    stage.machine.ended(execution)
    assert stage.machine.failures(execution)[0]["error"] == "JobCancelled"


def test_the_cause_says_what_became_of_the_job(stage: Stage) -> None:
    """moto leaves the cause out, so it is looked at before it is sent."""

    def refuse(job: JobContext) -> None:
        raise PermanentError("torn")

    told: list[tuple[str, dict[str, Any]]] = []
    watched = replace(stage.ports, supervisors=Recorder(told))
    for job_id in ("torn", "stopped"):
        submit_one(watched, ADMIN, JobSpec(name="extract", job_id=job_id, task_token=job_id))
    cancel(watched, ADMIN, "stopped", "not needed")
    with runtime.use(replace(stage.app, ports=watched)):
        stage.work(refuse)
    assert sorted(told) == [
        ("stopped", {"error": "JobCancelled", "cause": {
            "job_id": "stopped", "state": "CANCELLED", "reason": "not needed",
        }}),
        ("torn", {"error": "JobFailed", "cause": {
            "job_id": "torn", "state": "FAILED", "error_type": "agent", "error_message": "torn",
        }}),
    ]  # fmt: skip


def test_a_result_that_step_functions_would_refuse_is_left_out(stage: Stage) -> None:
    execution = stage.start("order-4")
    stage.work(lambda job: {"characters": 1, "text": "x" * 300_000})
    ended = stage.machine.ended(execution)
    assert ended["status"] == "FAILED", "this machine needs the result"
    assert stage.machine.entered(execution) == ["Extract", "Long enough?", "Unreadable"]


def test_a_repeated_task_is_called_back_with_its_new_token_whether_the_job_goes_on_or_has_ended(stage: Stage) -> None:
    spec = JobSpec(name="extract", job_id="j", data={"path": "a"})
    told: list[tuple[str, dict[str, Any]]] = []
    watched = replace(stage.ports, supervisors=Recorder(told))
    submit_one(watched, ADMIN, replace(spec, task_token="first"))
    submit_one(watched, ADMIN, replace(spec, task_token="second"))
    submit_one(watched, ADMIN, spec)
    with runtime.use(replace(stage.app, ports=watched)):
        stage.work(lambda job: "read")
    expected = {"job_id": "j", "state": "COMPLETED", "result": "read"}
    assert told == [("second", expected)]
    submit_one(watched, ADMIN, replace(spec, task_token="third"))
    assert told == [("second", expected), ("third", expected)]


def test_a_run_calls_back_too(stage: Stage) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    watched = replace(stage.ports, supervisors=Recorder(told))
    nodes = (NodeSpec(id="a", job={"name": "extract"}),)
    spec = DagSpec(name="d", nodes=nodes, task_token="first", dag_id=stage.cloud.clock.new_id())
    run = submit_dag(watched, ADMIN, spec, {})[0].run
    submit_dag(watched, ADMIN, replace(spec, task_token="second"), {})
    cancel_run(watched, ADMIN, run.id, "enough")
    why = {"dag_id": run.id, "state": "CANCELLED", "reason": "enough"}
    assert told == [("second", {"error": "RunCancelled", "cause": why})]
    submit_dag(watched, ADMIN, replace(spec, task_token="third"), {})
    assert told[1:] == [("third", {"error": "RunCancelled", "cause": why})]


def test_a_home_that_cannot_call_back_refuses_a_token(stage: Stage) -> None:
    ports = stage.cloud.open(stage.cloud.queue_urls(), state_machine=stage.machine.arn)
    with pytest.raises(InvalidInput, match="task_token: no state machine may wait"):
        submit_one(ports, ADMIN, JobSpec(name="extract", task_token="t"))
    spec = DagSpec(name="d", nodes=(NodeSpec(id="a", job={"name": "extract"}),), task_token="t")
    with pytest.raises(InvalidInput, match="task_token: no state machine may wait"):
        submit_dag(ports, ADMIN, spec, {})


class Recorder:
    """`Supervisors` that write down what they are told."""

    calls_back = True

    def __init__(self, told: list[tuple[str, dict[str, Any]]]) -> None:
        self._told = told

    def start(self, _: Any) -> bool:
        return False

    def tell(self, token: str, outcome: Any) -> bool:
        self._told.append((token, dict(outcome)))
        return True

    def fail(self, token: str, error: str, cause: str) -> bool:
        self._told.append((token, {"error": error, "cause": json.loads(cause)}))
        return True
