"""Runs that are made from a definition, and nodes that are: over HTTP, with the client, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bridge import client_of
from commands import Run
from gateway import Answer, Api

from home import Home
from tidegate import Dag
from tidegate.ports import JobQuery

SCHEMA = {"type": "object", "properties": {"document": {"type": "string"}}, "required": ["document"]}
FLOW: dict[str, Any] = {
    "failure_policy": "continue",
    "tags": ["nightly"],
    "data": {"pages": 2},
    "nodes": [
        {"id": "split", "name": "work", "data": {"part": "split", "pages": 3}},
        {"id": "merge", "name": "work", "depends_on": ["split"]},
    ],
}


def put(api: Api, name: str = "invoices", **body: Any) -> Answer:
    return api.call("PUT", f"/definitions/{name}", json.dumps(body))


def data_of(home: Home, dag_id: str) -> dict[str, Any]:
    return {job.node or "": job.data for job in home.ports.jobs.page(JobQuery(tenant="main", dag_id=dag_id)).jobs}


def fields_of(answer: Answer) -> list[str]:
    assert answer.status == 422, answer.body
    return [error["field"] for error in answer.body["details"]["errors"]]


def test_a_run_is_made_from_a_version_and_records_it(operator: Api, home: Home) -> None:
    made = put(operator, dag=FLOW, schema=SCHEMA)
    assert (made.status, made.body["definition"]["dag"]) == (201, FLOW)
    assert put(operator, dag=FLOW, schema=SCHEMA).status == 200
    assert put(operator, dag={**FLOW, "tags": []}).body["definition"]["reference"] == "invoices@2"
    run = operator.post("/dags", {"definition": "invoices@1", "data": {"document": "a.pdf"}, "metadata": {"by": "me"}})
    assert run.status == 201, run.body
    dag = run.body["dag"]
    assert (dag["definition"], dag["name"], dag["tags"], dag["failure_policy"], dag["metadata"]) == (
        "invoices@1", "invoices", ["nightly"], "continue", {"by": "me"},
    )  # fmt: skip
    assert data_of(home, dag["id"]) == {
        "split": {"document": "a.pdf", "pages": 3, "part": "split"},
        "merge": {"document": "a.pdf", "pages": 2},
    }
    latest = operator.post("/dags", {"definition": "invoices", "name": "mine"}).body["dag"]
    assert (latest["definition"], latest["name"]) == ("invoices@2", "mine")


def test_the_same_request_is_one_run_though_the_definition_moved_on(operator: Api) -> None:
    put(operator, dag=FLOW)
    body = {"definition": "invoices", "data": {"document": "a.pdf"}}
    first = operator.post("/dags", body, Idempotency_Key="k")
    put(operator, dag={**FLOW, "tags": []})
    again = operator.post("/dags", body, Idempotency_Key="k")
    assert (again.status, again.body["dag_id"]) == (200, first.body["dag_id"])
    assert operator.post("/dags", {**body, "data": {}}, Idempotency_Key="k").status == 409


def test_data_that_does_not_fit_the_schema_is_refused_by_its_path(operator: Api) -> None:
    put(operator, dag=FLOW, schema=SCHEMA)
    assert fields_of(operator.post("/dags", {"definition": "invoices", "data": {"document": 1}})) == ["data.document"]
    assert fields_of(operator.post("/dags/validate", {"definition": "invoices"})) == ["data.document"]


@pytest.mark.parametrize(
    ("dag", "field"),
    [
        ({"nodes": []}, "dag.nodes"),
        ({"nodes": [{"id": "a", "name": "work", "depends_on": ["b"]}]}, "dag.nodes.0.depends_on"),
        ({"nodes": [{"id": "a", "name": "work", "queue": "nowhere"}]}, "dag.nodes.0.queue"),
        ({"nodes": [{"id": "a", "name": "work", "priority": 11}]}, "dag.nodes.0.priority"),
        ({**FLOW, "dag_id": "0197f2a4-0000-7000-8000-000000000000"}, "dag.dag_id"),
        ({**FLOW, "hard_sla": "2033-05-18T08:00:20Z"}, "dag.hard_sla"),
        ({**FLOW, "unknown": 1}, "dag.unknown"),
    ],
)
def test_runs_that_could_not_be_made_are_no_definition(operator: Api, dag: dict[str, Any], field: str) -> None:
    assert field in fields_of(put(operator, dag=dag))
    assert operator.get("/definitions").body["definitions"] == []


def test_a_definition_is_of_jobs_or_of_runs(operator: Api) -> None:
    put(operator, "job", job={"name": "work"})
    put(operator, "run", dag=FLOW)
    assert fields_of(put(operator, dag=FLOW, job={"name": "work"})) == ["job"]
    assert fields_of(operator.post("/dags", {"definition": "job"})) == ["definition"]
    assert fields_of(operator.post("/dags", {"definition": "nowhere"})) == ["definition"]
    assert fields_of(operator.post("/jobs", {"definition": "run"})) == ["definition"]
    assert fields_of(operator.post("/dags", {"definition": "run", "nodes": FLOW["nodes"]})) == ["nodes"]
    assert fields_of(operator.post("/dags", {})) == ["name", "nodes"]


def test_a_node_is_made_from_a_definition_of_jobs(operator: Api, home: Home) -> None:
    put(operator, "page", job={"name": "work", "priority": "high", "data": {"a": 1}}, schema=SCHEMA)
    nodes = [{"id": "a", "definition": "page", "data": {"document": "a.pdf"}}, {"id": "b", "name": "work"}]
    made = operator.post("/dags", {"name": "d", "nodes": nodes})
    assert made.status == 201, made.body
    found = home.ports.jobs.page(JobQuery(tenant="main", dag_id=made.body["dag_id"])).jobs
    (job,) = [each for each in found if each.node == "a"]
    assert (job.name, job.priority, job.definition, job.data) == ("work", 8, "page@1", {"document": "a.pdf"})
    wrong = [{"id": "a", "definition": "page", "data": {}}, {"id": "b", "definition": "nowhere"}]
    assert fields_of(operator.post("/dags", {"name": "d", "nodes": wrong})) == [
        "nodes.0.data.document", "nodes.1.definition",
    ]  # fmt: skip


def test_storing_needs_the_scope_operate(api: Api) -> None:
    assert put(api, dag=FLOW).status == 403


def test_on_the_command_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "flow.yaml"
    file.write_text("nodes:\n  - {id: a, name: work}\n")
    assert "invoices@1" in run("definition", "put", "invoices", "--dag", str(file))[1]
    made = json.loads(run("dag", "submit", "--definition", "invoices", "--data", '{"x": 1}', "--json")[1])
    assert (made["name"], made["definition"]) == ("invoices", "invoices@1")
    assert "--definition" in run("dag", "submit")[2]


def test_in_python(operator: Api) -> None:
    with Dag("flow") as dag:
        dag.job("work")
    with client_of(operator) as client:
        stored = client.put_definition("flow", dag=dag)
        assert (stored.reference, stored.dag) == ("flow@1", dag.body())
        assert client.submit_dag({"definition": "flow", "data": {"x": 1}}).definition == "flow@1"
