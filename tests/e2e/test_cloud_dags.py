"""A run of a DAG on the deployed template: submitted over HTTP, released by the stream, run by the worker Lambda, and
supervised by an execution of the state machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cloud import Cloud, eventually

from tidegate import Dag
from tidegate.local.background import clock_event


def execution_of(cloud: Cloud, dag_id: str) -> dict[str, Any]:
    """The run's execution as it stands, with the states that it entered."""
    client = cloud.client("stepfunctions")
    (machine,) = client.list_state_machines()["stateMachines"]
    found = client.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
    (execution,) = (each for each in found if each["name"].startswith(dag_id))
    history = client.get_execution_history(executionArn=execution["executionArn"])["events"]
    entered = [each["stateEnteredEventDetails"]["name"] for each in history if each["type"].endswith("StateEntered")]
    return {**execution, "entered": entered}


def run_of(http: httpx.Client, dag_id: str) -> dict[str, Any]:
    return dict(http.get(f"/dags/{dag_id}").json()["dag"])


def submitted(http: httpx.Client, dag: Dag, **fields: Any) -> str:
    made = http.post("/dags", json={**dag.body(), **fields})
    assert made.status_code == 201, made.text
    return str(made.json()["dag_id"])


def test_a_run_with_fan_out_and_branches_completes(cloud: Cloud, http: httpx.Client) -> None:
    with Dag("cloud") as dag:
        first = dag.job("echo", {"items": ["a", "b", "c"], "kind": "x"}, id="first")
        each = dag.map("echo", over=first["data"]["items"], id="each")
        dag.job("echo", id="taken", after=each, when=first["data"]["kind"].equals("x"))
        dag.job("echo", id="skipped", after=each, when=first["data"]["kind"].equals("y"))
        dag.job("echo", id="last", after=[each])
        with Dag("inner") as inner:
            inner.job("echo", {"way": "chosen"}, id="echoed")
        dag.switch("route", first["data"]["kind"], {"x": "chosen", "y": "passed"})
        dag.run("chosen", inner)
        dag.run("passed", inner)
    dag_id = submitted(http, dag)
    eventually(lambda: run_of(http, dag_id)["state"] not in {"CREATED", "ACTIVE"}, 60)
    run = run_of(http, dag_id)
    states = {node["id"]: node["state"] for node in run["nodes"]}
    assert run["state"] == "COMPLETED"
    assert (states["taken"], states["skipped"], states["last"]) == ("COMPLETED", "SKIPPED", "COMPLETED")
    assert (states["chosen"], states["chosen/echoed"]) == ("COMPLETED", "COMPLETED")
    assert (states["passed"], states["passed/echoed"]) == ("SKIPPED", "SKIPPED")
    gathered = http.get(f"/jobs/{next(node['job_id'] for node in run['nodes'] if node['id'] == 'each')}").json()["job"]
    assert [each["data"]["item"] for each in gathered["result"]] == ["a", "b", "c"]
    assert eventually(lambda: execution_of(cloud, dag_id)["status"] == "SUCCEEDED")
    assert execution_of(cloud, dag_id)["entered"] == ["Release", "Await", "Close"]


def test_who_stops_the_execution_stops_the_run(cloud: Cloud, http: httpx.Client) -> None:
    with Dag("stopped") as dag:
        later = dag.job("echo", id="later", start_after=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
        dag.job("echo", id="clean", after=later, cleanup=True)
    dag_id = submitted(http, dag)
    eventually(lambda: "Await" in execution_of(cloud, dag_id)["entered"])
    cloud.client("stepfunctions").stop_execution(executionArn=execution_of(cloud, dag_id)["executionArn"])
    eventually(lambda: run_of(http, dag_id)["state"] == "CANCELLED", 60)
    run = run_of(http, dag_id)
    assert run["reason"] == "its supervisor was stopped in Step Functions"
    assert {node["id"]: node["state"] for node in run["nodes"]} == {"later": "CANCELLED", "clean": "COMPLETED"}


def test_the_clock_keeps_a_deadline_that_the_supervisor_missed(cloud: Cloud, http: httpx.Client) -> None:
    """The emulator does not know time-outs that are told by a path, so its executions wait for ever."""
    with Dag("late") as dag:
        dag.job("echo", {"n": 1}, id="never", start_after=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    dag_id = submitted(http, dag, hard_sla=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    eventually(lambda: "Await" in execution_of(cloud, dag_id)["entered"])

    def expired() -> bool:
        cloud.invoke("clock", clock_event(60.0, None))
        return bool(run_of(http, dag_id)["state"] == "EXPIRED")

    eventually(expired, pause=0.5)
    assert eventually(lambda: execution_of(cloud, dag_id)["status"] == "SUCCEEDED")
