"""A run of a DAG on the deployed template: submitted over HTTP, released by the stream, run by the worker Lambda."""

from __future__ import annotations

import httpx
from cloud import eventually

from tidegate import Dag


def test_a_run_with_fan_out_and_branches_completes(http: httpx.Client) -> None:
    with Dag("cloud") as dag:
        first = dag.job("echo", {"items": ["a", "b", "c"], "kind": "x"}, id="first")
        each = dag.map("echo", over=first["data"]["items"], id="each")
        dag.job("echo", id="taken", after=each, when=first["data"]["kind"].equals("x"))
        dag.job("echo", id="skipped", after=each, when=first["data"]["kind"].equals("y"))
        dag.job("echo", id="last", after=[each])
    made = http.post("/dags", json=dag.body())
    assert made.status_code == 201, made.text
    dag_id = made.json()["dag_id"]

    def ended() -> object:
        found = http.get(f"/dags/{dag_id}").json()["dag"]
        return found if found["state"] not in {"CREATED", "ACTIVE"} else None

    run = eventually(ended, 60)
    states = {node["id"]: node["state"] for node in run["nodes"]}
    assert run["state"] == "COMPLETED"
    assert (states["taken"], states["skipped"], states["last"]) == ("COMPLETED", "SKIPPED", "COMPLETED")
    gathered = http.get(f"/jobs/{next(node['job_id'] for node in run['nodes'] if node['id'] == 'each')}").json()["job"]
    assert [each["data"]["item"] for each in gathered["result"]] == ["a", "b", "c"]
