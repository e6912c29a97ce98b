"""The supervisor of a run, really executed, whatever the number of jobs: `infra/dag.asl.json` in moto's interpreter.

The jobs are in the embedded home, which is quick; the machine never sees them. Behind its tasks is our own handler.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tidegate_functions.dag.handler import handler

from benchmarks.report import Table
from support.aws import Cloud
from support.step_functions import Machine, interpreted
from tidegate import runtime
from tidegate.domain.caller import Caller
from tidegate.domain.dag.run import Run, RunState
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.local.background import pump_changes
from tidegate.ports import Ports
from tidegate.service.runs import cancel_run, get_run, submit_dag

_ADMIN = Caller("main", "ada", frozenset({"admin"}))
_DEFINITION = Path(__file__).parents[2] / "infra" / "dag.asl.json"
_PATIENCE_SECONDS = 300.0
NUMBERS = (1, 100, 10_000)


def entered(cloud: Cloud, jobs: int) -> list[str]:
    """The states that the execution of a run of so many jobs enters; all but the first wait when it is cancelled."""
    cloud.reset()
    with _machine(cloud) as machine, tempfile.TemporaryDirectory() as folder:
        home = runtime.embedded(Path(folder))
        supervised = cloud.open(cloud.queue_urls(), state_machine=machine.arn).supervisors
        app = replace(home, ports=replace(home.ports, supervisors=supervised))
        with runtime.use(app):
            nodes = (_node("n0"), *(_node(f"n{number}", "n0") for number in range(1, jobs)))
            run = submit_dag(app.ports, _ADMIN, DagSpec(name="d", nodes=nodes), {})[0].run
            (execution,) = machine.executions()
            _await_token(app.ports, run)
            cancel_run(app.ports, _ADMIN, run.id)
            while app.feed is not None and pump_changes(app.ports, app.feed):
                continue
            ended = machine.ended(execution, _PATIENCE_SECONDS)
            assert ended["status"] == "SUCCEEDED", ended
            assert get_run(app.ports, _ADMIN, run.id).run.state is RunState.CANCELLED
        app.ports.close()
        return machine.entered(execution)


def table(cloud: Cloud, numbers: Sequence[int] = NUMBERS) -> Table:
    """States entered by the executions of runs of so many jobs."""
    found = Table("Step Functions, executed: the supervisor of one run", ("jobs", "state transitions", "states"))
    for jobs in numbers:
        states = entered(cloud, jobs)
        found.add(jobs, len(states), ", ".join(states))
    found.notes.append("By moto's interpreter of the deployed definition, our handler behind its tasks.")
    return found


@contextmanager
def _machine(cloud: Cloud) -> Iterator[Machine]:
    definition = _DEFINITION.read_text().replace("${Function}", "arn:aws:lambda:eu-west-1:123456789012:function:dag")
    with interpreted({"dag": handler}):
        machine = Machine(cloud.clients.stepfunctions, "tidegate-dag", definition)
        try:
            yield machine
        finally:
            machine.delete()


def _node(name: str, *parents: str) -> NodeSpec:
    return NodeSpec(id=name, job={"name": "work"}, depends_on=parents)


def _await_token(ports: Ports, run: Run) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while (found := ports.dags.get(run.tenant, run.id)) is None or found.supervisor_token is None:
        assert time.monotonic() < end, "nobody waits for the run"
        time.sleep(0.02)
