"""The supervisor of a run: `infra/dag.asl.json`, executed by moto's interpreter, with `functions/dag` behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from benchmarks.cloud import transitions
from benchmarks.cloud.runs import TRANSITIONS
from tidegate_functions.changes.handler import handler as changes
from tidegate_functions.dag.handler import handler as dag

from support.attempts import ADMIN, serve, worker
from support.aws import BUCKET, JOBS, REGISTRY, Cloud
from support.step_functions import Machine, interpreted
from support.streams import JobsStream
from tidegate import runtime
from tidegate.adapters.system import now_ms, uuid7
from tidegate.domain.dag.run import Run, RunState
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.domain.errors import Unavailable
from tidegate.execution.context import JobContext
from tidegate.local.functions import Context
from tidegate.ports import Ports
from tidegate.runtime import App
from tidegate.service.runs import cancel_run, get_run, resume_run, submit_dag
from tidegate.service.supervise import check_runs
from tidegate.settings import Settings

DEFINITION = Path(__file__).parents[2] / "infra" / "dag.asl.json"
PAUSE = '"IntervalSeconds": 2'
"""Between a failed task and its repetition; a test need not wait for that long."""
AFTER_DEADLINES = ["Release", "Await", "Deadline", "Await", "Deadline", "Await", "Close"]


class RealClock:
    """Time as Step Functions sees it, which a test can set ahead."""

    def __init__(self) -> None:
        self._ahead = 0

    def now(self) -> int:
        return now_ms() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += round(seconds * 1000)

    new_id = staticmethod(uuid7)


@dataclass
class Stage:
    """A deployment with a state machine. `failing` tasks of the supervisor raise as often as told."""

    cloud: Cloud
    ports: Ports
    machine: Machine
    stream: JobsStream
    failing: dict[str, int] = field(default_factory=dict)
    tasks: list[str] = field(default_factory=list)

    def submit(self, *nodes: NodeSpec, **fields: Any) -> Run:
        return submit_dag(self.ports, ADMIN, DagSpec(name="d", nodes=nodes, **fields), {})[0].run

    def work(self, **functions: Callable[[JobContext], Any]) -> None:
        """Let workers and change feed do all there is to do."""
        runner = worker(self.ports, **({"work": lambda job: None} | functions))
        while serve(self.ports, runner) + self.feed():
            continue

    def feed(self) -> int:
        """Hand all changes to the change feed's function."""
        records = self.stream.records()
        if records:
            assert changes({"Records": records}, Context("changes")) == {"batchItemFailures": []}
        return len(records)

    def run(self, run: Run) -> Run:
        return get_run(self.ports, ADMIN, run.id).run

    def states(self, run: Run) -> dict[str, str]:
        return {job.node or "": job.state.value for job in get_run(self.ports, ADMIN, run.id).jobs}

    def awaited(self, run: Run, ports: Ports | None = None, seconds: float = 20.0) -> str:
        """The execution of a run, once it waits with a token that is stored."""
        dags = (ports or self.ports).dags
        end = time.monotonic() + seconds
        while (found := dags.get(run.tenant, run.id)) is None or found.supervisor_token is None:
            assert time.monotonic() < end, f"nobody waits for the run: {self.tasks}"
            time.sleep(0.02)
        return self.machine.executions()[-1]

    def task(self, event: dict[str, Any], context: Any) -> Any:
        """What the state machine's function does, unless it is to fail."""
        task = event["task"]
        self.tasks.append(task)
        if self.failing.get(task, 0):
            self.failing[task] -= 1
            raise Unavailable("AWS is busy")
        return dag(event, context)


@pytest.fixture
def stage(aws: Cloud) -> Iterator[Stage]:
    aws.reset()
    aws.clock = RealClock()  # type: ignore[assignment]
    urls = aws.queue_urls()
    made: list[Stage] = []
    with interpreted({"dag": lambda event, context: made[0].task(event, context)}):
        text = DEFINITION.read_text()
        assert PAUSE in text
        definition = text.replace("${Function}", "arn:aws:lambda:eu-west-1:123456789012:function:dag")
        machine = Machine(aws.clients.stepfunctions, "tidegate-dag", definition.replace(PAUSE, '"IntervalSeconds": 1'))
        ports = aws.open(urls, state_machine=machine.arn)
        made.append(Stage(aws, ports, machine, JobsStream(aws.clients.dynamodb)))
        settings = Settings(jobs_table=JOBS, registry_table=REGISTRY, bucket=BUCKET, pools=urls, stage="test")
        with runtime.use(App(ports, settings)):
            try:
                yield made[0]
            finally:
                machine.delete()


def node(node_id: str, *parents: str, **fields: Any) -> NodeSpec:
    job = {"name": fields.pop("name", "work"), "retry_limit": 0}
    return NodeSpec(id=node_id, job=job, depends_on=parents, **fields)


def test_a_run_that_completes(stage: Stage) -> None:
    run = stage.submit(node("a"), node("b", "a"))
    execution = stage.awaited(run)
    stage.work()
    ended = stage.machine.ended(execution)
    assert ended["status"] == "SUCCEEDED"
    assert f'"dag_id":"{run.id}","state":"COMPLETED"' in ended["output"].replace(" ", "")
    assert stage.machine.entered(execution) == ["Release", "Await", "Close"]
    assert stage.tasks == ["release", "wait", "close"]
    assert stage.ports.dags.watched(None, 10) == []


def test_a_run_that_fails(stage: Stage) -> None:
    def fail(job: JobContext) -> None:
        raise ValueError("no")

    run = stage.submit(node("a", name="fail"), node("b", "a"), node("clean", "b", cleanup=True))
    execution = stage.awaited(run)
    stage.work(fail=fail)
    assert stage.machine.ended(execution)["status"] == "SUCCEEDED", "the supervisor did its work"
    assert stage.run(run).state is RunState.FAILED
    assert stage.states(run) == {"a": "FAILED", "b": "CANCELLED", "clean": "COMPLETED"}


def test_the_soft_deadline_then_the_hard_one_then_time_to_stop_and_clean_up(stage: Stage) -> None:
    now = stage.ports.now()
    run = stage.submit(
        node("a"), node("b", "a"), node("clean", "b", cleanup=True), soft_sla=now + 1_000, hard_sla=now + 4_000
    )
    execution = stage.awaited(run)
    stage.machine.reached(execution, "Await", 2)
    assert stage.run(run).warned_at is not None
    assert stage.run(run).stopping is None
    stage.machine.reached(execution, "Await", 3)
    assert stage.run(run).stopping is RunState.EXPIRED
    stage.work()
    assert stage.machine.ended(execution)["status"] == "SUCCEEDED"
    assert (stage.run(run).state, stage.states(run)) == (
        RunState.EXPIRED, {"a": "CANCELLED", "b": "CANCELLED", "clean": "COMPLETED"},
    )  # fmt: skip
    assert stage.machine.entered(execution) == AFTER_DEADLINES
    assert stage.machine.transitions(execution) <= 10


def test_a_run_that_is_cancelled_with_its_clean_up(stage: Stage) -> None:
    run = stage.submit(node("a"), node("clean", "a", cleanup=True))
    execution = stage.awaited(run)
    cancel_run(stage.ports, ADMIN, run.id)
    assert stage.run(run).state is RunState.ACTIVE, "the clean-up has not run"
    stage.work()
    stage.machine.ended(execution)
    assert (stage.run(run).state, stage.states(run)) == (
        RunState.CANCELLED, {"a": "CANCELLED", "clean": "COMPLETED"},
    )  # fmt: skip
    assert stage.machine.entered(execution) == ["Release", "Await", "Close"]


def test_a_failing_task_is_repeated(stage: Stage) -> None:
    stage.failing = {"release": 1, "wait": 1, "close": 1}
    run = stage.submit(node("a"))
    execution = stage.awaited(run)
    stage.work()
    assert stage.machine.ended(execution)["status"] == "SUCCEEDED"
    assert stage.tasks == ["release", "release", "wait", "wait", "close", "close"]


def test_a_supervisor_whose_task_can_never_succeed_gives_up_and_the_run_goes_on(stage: Stage) -> None:
    """Its run was never stored: no repetition helps."""
    stage.cloud.clients.stepfunctions.start_execution(
        stateMachineArn=stage.machine.arn,
        name="lost",
        input='{"tenant": "main", "dag_id": "none", "resumed": 0, "correlation_id": null}',
    )
    (execution,) = stage.machine.executions()
    ended = stage.machine.ended(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "Unsupervised")
    assert stage.tasks == ["release"], "what is not there is not looked for again"


def test_stopping_the_execution_by_hand_cancels_the_run(stage: Stage) -> None:
    run = stage.submit(node("a"), node("clean", "a", cleanup=True))
    execution = stage.awaited(run)
    stage.machine.stop(execution)
    event = stage.machine.stopped_event(stage.machine.ended(execution))
    assert dag(event, Context("dag")) == {"stopped": True}
    stage.work()
    assert (stage.run(run).state, stage.run(run).reason) == (
        RunState.CANCELLED, "its supervisor was stopped in Step Functions",
    )  # fmt: skip
    assert stage.states(run)["clean"] == "COMPLETED"
    assert dag(event, Context("dag")) == {"stopped": False}, "told twice"
    assert stage.ports.dags.watched(None, 10) == [], "its stale token kept nobody"


def test_a_second_call_back_and_a_stale_token_do_no_harm(stage: Stage) -> None:
    run = stage.submit(node("a"))
    execution = stage.awaited(run)
    stage.work()
    stage.machine.ended(execution)
    token = stage.run(run).supervisor_token
    assert token is not None
    for stale in (token, "x" * 100):
        assert stage.ports.supervisors.tell(stale, {}) is False
    assert stage.ports.supervisors.start(stage.run(run)), "starting it again is no error either"
    assert len(stage.machine.executions()) == 1


def test_a_run_that_ended_before_anyone_waited_is_told_at_once(stage: Stage) -> None:
    stage.failing = {"wait": 1}
    run = stage.submit(node("a"))
    stage.work()
    (execution,) = stage.machine.executions()
    assert stage.machine.ended(execution)["status"] == "SUCCEEDED"
    assert stage.run(run).state is RunState.COMPLETED


def test_a_resumed_run_has_a_supervisor_of_its_own(stage: Stage) -> None:
    def fail(job: JobContext) -> None:
        raise ValueError("no")

    run = stage.submit(node("a", name="fail"))
    stage.awaited(run)
    stage.work(fail=fail)
    first = stage.machine.executions()[0]
    stage.machine.ended(first)
    resume_run(stage.ports, ADMIN, run.id)
    second = stage.awaited(run)
    assert second != first
    stage.work(fail=lambda job: None)
    assert stage.machine.ended(second)["status"] == "SUCCEEDED"
    assert (stage.run(run).state, stage.run(run).resumed) == (RunState.COMPLETED, 1)


def test_a_run_whose_request_died_gets_its_supervisor_from_the_clock(stage: Stage, monkeypatch: Any) -> None:
    monkeypatch.setattr("tidegate.service.runs.start_supervisor", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stage.submit(node("a"))
    assert stage.machine.executions() == []
    for _ in range(10):
        stage.cloud.clock.advance(60)
        check_runs(stage.ports)
    (execution,) = stage.machine.executions()
    stage.work()
    assert stage.machine.ended(execution)["status"] == "SUCCEEDED"


def test_what_a_supervisor_costs_does_not_depend_on_the_number_of_jobs(aws: Cloud) -> None:
    """`make bench BENCH="--only width"` executes one of 10,000 jobs too."""
    few, many = (transitions.entered(aws, jobs) for jobs in (1, 300))
    assert few == many == ["Release", "Await", "Close"]
    assert len(many) == TRANSITIONS
