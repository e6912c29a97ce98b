"""Schedules of a DAG: over HTTP, with the Python client, on the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bridge import client_of
from gateway import Answer, Api
from tidegate_functions.api.answers import schedules

from home import Home
from tidegate.cli import session
from tidegate.cli.main import main
from tidegate.client import Dag
from tidegate.client.models import DagRun
from tidegate.domain.ids import is_uuid7

DAG: dict[str, Any] = {
    "name": "etl",
    "nodes": [
        {"id": "load", "name": "work", "data": {"day": 1}},
        {"id": "report", "name": "work", "depends_on": ["load"], "when": {"path": "$.load.result.ok", "op": "exists"}},
    ],
}
YAML = "name: etl\nnodes:\n  - {id: load, name: work}\n  - {id: report, name: work, depends_on: [load]}\n"
Run = Callable[..., str]


def create(api: Api, **fields: Any) -> Answer:
    return api.post("/schedules", {"name": "nightly", "expression": "0 2 * * *", "dag": DAG, **fields})


def told(answer: Answer, operation: str, status: int = 200) -> Any:
    assert answer.status == status, answer.text
    schedules.ANSWERS[operation][status].model_validate_json(answer.text)
    return answer.body


def patch(api: Api, changes: Any) -> Answer:
    return api.call("PATCH", "/schedules/nightly", json.dumps(changes))


def finish(home: Home) -> None:
    runner = home.runner(work=lambda _: {"ok": 1})
    while home.drain(runner) + home.changes():
        continue


def test_a_schedule_of_a_dag_is_shown_with_what_it_makes(api: Api) -> None:
    dag = {**DAG, "failure_policy": "continue", "hard_sla_seconds": 60.0, "tags": ["t"], "metadata": {"k": "v"}}
    schedule = told(create(api, dag=dag), "create_schedule", 201)["schedule"]
    assert (schedule["job"], schedule["priority"], schedule["job_type"]) == (None, None, "etl")
    assert schedule["dag"] == {
        "name": "etl", "definition": None, "failure_policy": "continue", "soft_sla_seconds": None,
        "hard_sla_seconds": 60.0, "tags": ["t"], "metadata": {"k": "v"},
        "nodes": [
            {"id": "load", "name": "work", "definition": None, "depends_on": []},
            {"id": "report", "name": "work", "definition": None, "depends_on": ["load"]},
        ],
    }  # fmt: skip
    assert told(api.get("/schedules"), "list_schedules")["schedules"][0]["dag"]["name"] == "etl"


def test_its_runs_are_runs_like_any_other_and_lead_back_to_it(api: Api, home: Home) -> None:
    told(create(api, expression="every 30s"), "create_schedule", 201)
    home.clock.advance(30)
    home.tick(1)
    finish(home)
    history = told(api.get("/schedules/nightly/history"), "schedule_history")["runs"]
    assert [(run["fate"], run["job"], run["dag"]["state"]) for run in history] == [("fired", None, "COMPLETED")]
    dag_id = history[0]["dag"]["id"]
    dag = api.get(f"/dags/{dag_id}").body["dag"]
    assert (dag["name"], dag["tags"], dag["metadata"]["schedule"]) == ("etl", ["schedule:nightly"], "nightly")
    assert [node["state"] for node in dag["nodes"]] == ["COMPLETED", "COMPLETED"]
    schedule = told(api.get("/schedules/nightly"), "get_schedule")["schedule"]
    assert (schedule["last_dag_id"], schedule["last_job_id"], schedule["fired"]) == (dag_id, None, 1)


def test_a_run_is_made_by_hand_once(api: Api) -> None:
    told(create(api), "create_schedule", 201)
    first = told(api.post("/schedules/nightly/trigger"), "trigger_schedule", 201)
    assert (first["job_id"], first["job"], first["dag"]["id"]) == (None, None, first["dag_id"])
    again = api.post("/schedules/nightly/trigger", {"job_id": first["dag_id"]})
    assert again.body["dag_id"] == first["dag_id"]
    assert [dag["id"] for dag in api.get("/dags").body["dags"]] == [first["dag_id"]]
    refused = api.post("/schedules/nightly/trigger", {"job_id": "mine"})
    assert (refused.status, "UUIDv7" in refused.text) == (422, True)


def test_what_it_makes_can_be_exchanged(api: Api) -> None:
    told(create(api), "create_schedule", 201)
    other = {"name": "short", "nodes": DAG["nodes"][:1]}
    assert told(patch(api, {"dag": other}), "patch_schedule")["schedule"]["dag"]["name"] == "short"
    job = told(patch(api, {"job": {"name": "work"}}), "patch_schedule")["schedule"]
    assert (job["job"]["name"], job["dag"]) == ("work", None)
    back = told(patch(api, {"dag": DAG}), "patch_schedule")["schedule"]
    assert (back["job"], back["dag"]["name"]) == (None, "etl")
    assert told(patch(api, {"overlap": "skip"}), "patch_schedule")["schedule"]["dag"] == back["dag"]
    wrong: list[dict[str, Any]] = [{"priority": 3}, {"config": {}}, {"dag": DAG, "job": {"name": "work"}}]
    for changes in wrong:
        assert patch(api, changes).status == 422
    assert told(api.get("/schedules/nightly"), "get_schedule")["schedule"]["dag"] == back["dag"]


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"job": {"name": "work"}}, ["dag"]),
        ({"dag": None}, ["job"]),
        (
            {
                "dag": {
                    "name": "r",
                    "nodes": [{"id": "a", "name": "w", "depends_on": ["c"]}, {"id": "b", "priority": 99}],
                }
            },
            ["dag.nodes.0.depends_on", "dag.nodes.1.priority"],
        ),
        ({"dag": {"name": "r", "nodes": [{"id": "a", "name": "w", "queue": "none"}]}}, ["dag.nodes.0.queue"]),
        (
            {"dag": {"name": "r", "nodes": [{"id": "a", "name": "w", "start_after": "2033-06-01T00:00:00Z"}]}},
            ["dag.nodes.0.start_after"],
        ),
        ({"dag": {**DAG, "dag_id": "x"}}, ["dag.dag_id"]),
        ({"dag": {**DAG, "nodes": []}}, ["dag.nodes"]),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(api: Api, fields: dict[str, Any], places: list[str]) -> None:
    answer = create(api, **fields)
    assert answer.status == 422, answer.text
    named = {each["field"] for each in answer.body["details"]["errors"]}
    assert set(places) <= named
    assert api.get("/schedules").body["schedules"] == []


def test_runs_are_made_of_the_definition_as_it_was_and_nodes_of_the_latest(api: Api, home: Home) -> None:
    operator = api.by(user="olga", scopes="submit read operate")
    for retries in (1, 2):
        node = {"id": "load", "definition": "loading", "priority": 5}
        body = {"dag": {"name": "etl", "nodes": [node]}, "description": str(retries)}
        operator.call(
            "PUT", "/definitions/loading", json.dumps({"job": {"name": "work", "retry_limit": retries, "priority": 9}})
        )
        operator.call("PUT", "/definitions/etl", json.dumps(body))
        if retries == 1:
            made = told(create(api, dag={"definition": "etl", "data": {"day": 7}}), "create_schedule", 201)
    assert made["schedule"]["dag"]["definition"] == "etl@1"
    assert made["schedule"]["dag"]["nodes"] == [{"id": "load", "name": None, "definition": "loading", "depends_on": []}]
    run = told(api.post("/schedules/nightly/trigger"), "trigger_schedule", 201)["dag"]
    assert run["definition"] == "etl@1"
    (job,) = api.get("/jobs", query=f"dag_id={run['id']}").body["jobs"]
    assert (job["definition"], job["retry_limit"], job["priority"], job["data"]) == ("loading@2", 2, 5, {"day": 7})
    assert create(api, name="other", dag={"definition": "loading"}).status == 422


def test_a_run_within_the_run_is_scheduled_with_it(api: Api, home: Home) -> None:
    nodes = [{"id": "inner", "dag": {"nodes": [{"id": "x", "name": "work"}, {"id": "y", "name": "work"}]}}]
    after = {"id": "after", "name": "work", "depends_on": ["inner"]}
    told(create(api, expression="every 30s", dag={"name": "outer", "nodes": [*nodes, after]}), "create_schedule", 201)
    home.clock.advance(30)
    home.tick(1)
    finish(home)
    (run,) = api.get("/schedules/nightly/history").body["runs"]
    dag = api.get(f"/dags/{run['dag']['id']}").body["dag"]
    assert dag["state"] == "COMPLETED"
    assert {node["id"] for node in dag["nodes"]} >= {"inner/x", "inner/y", "inner", "after"}


def test_the_python_client_takes_a_dag_and_answers_runs(api: Api, home: Home) -> None:
    with Dag("etl") as dag:
        load = dag.job("work", {"day": 1}, id="load")
        dag.job("work", id="report", after=load)
    with client_of(api) as client:
        made = client.create_schedule("nightly", "@daily", dag=dag)
        assert (made.job_type, made.job, made.config) == ("etl", {}, None)
        assert made.dag is not None
        assert [node["id"] for node in made.dag["nodes"]] == ["load", "report"]
        run = client.trigger_schedule("nightly")
        assert isinstance(run, DagRun)
        finish(home)
        assert client.wait_dag(run.id).state == "COMPLETED"


@pytest.fixture
def tidegate(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(session.Session, "client", lambda *_, **__: client_of(api))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "etl.yaml").write_text(YAML)

    def run_it(*args: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as caught:
            main(["schedule", *args])
        out, err = capsys.readouterr()
        assert int(caught.value.code or 0) == code, err
        return out if code == 0 else err

    return run_it


def test_the_command_line_takes_a_file(tidegate: Run, home: Home) -> None:
    out = tidegate("create", "--name", "nightly", "--dag", "etl.yaml", "--every", "30s", "--overlap", "skip")
    assert out.startswith("✅ Created schedule 'nightly' with ID=")
    assert re.search(r"nightly +etl +every 30s +✓", tidegate("list"))
    triggered = tidegate("trigger", "nightly")
    assert triggered.startswith("✅ Submitted run ")
    assert is_uuid7(triggered.split()[-1])
    home.clock.advance(30)
    home.tick(1)
    shown = tidegate("show", "nightly")
    assert re.search(r"Run +Fate +DAG +State", shown)
    assert re.search(r"fired +[0-9a-f-]{36} +ACTIVE", shown)


def test_the_command_line_wants_one_of_the_two(tidegate: Run) -> None:
    for both in ((), ("--type", "work", "--dag", "etl.yaml")):
        assert "--type for a job, or --dag for a run" in tidegate(
            "create", "--name", "s", "--every", "30s", *both, code=2
        )
