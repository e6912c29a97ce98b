"""`POST /jobs?dry_run=true`: what a job would cost, and nothing done."""

from __future__ import annotations

import json

import pytest
from gateway import Answer, Api

from home import Home
from support.inprocess import client_of
from tidegate import runtime
from tidegate.cli import session
from tidegate.cli.main import main
from tidegate.service.tokens import new_token


def dry(api: Api, **fields: object) -> Answer:
    return api.call("POST", "/jobs", json.dumps({"name": "work", **fields}), query="dry_run=true")


def test_nothing_is_stored_counted_or_sent(api: Api, home: Home) -> None:
    answer = dry(api, data="x" * 500_000, job_id="mine")
    assert (answer.status, answer.body["message"]) == (200, "Job would be accepted")
    assert api.get("/jobs").body["jobs"] == []
    assert home.receive() is None
    assert list(home.ports.blobs.list("")) == []
    assert home.ports.lanes.all() == []
    assert api.submit(job_id="mine").status == 201


def test_the_handler_is_taken_to_run_as_long_as_it_lately_did(api: Api, home: Home) -> None:
    fresh = dry(api).body["estimate"]
    assert (fresh["handler_ms"], fresh["memory_mb"], fresh["write_units"]) == (0, 512, 5.3636)
    for _ in range(5):
        api.submit()
    home.drain(home.runner(work=lambda _: home.clock.advance(3)))
    home.pump()
    known = dry(api).body["estimate"]
    assert 3_000 <= known["handler_ms"] < 4_000
    assert known["dollars"] > fresh["dollars"] > 0
    assert dry(api, name="other").body["estimate"] == fresh


def test_the_memory_is_that_of_the_lambda_of_the_jobs_pool(api: Api, home: Home) -> None:
    api.by(scopes="admin").call("PUT", "/queues/heavy", '{"pool": "heavy"}')
    api.by(scopes="admin").call("PUT", "/queues/own", '{"pool": "machines"}')
    for _ in range(2):
        api.submit()
    home.drain(home.runner(work=lambda _: home.clock.advance(3)))
    home.pump()
    lambdas = home.with_ports(lambda_pools={"default": 512, "heavy": 2048}, own_memory=0)
    with runtime.use(lambdas.app):
        default, heavy, own = (dry(api, queue=queue).body["estimate"] for queue in ("default", "heavy", "own"))
    assert [each["memory_mb"] for each in (default, heavy, own)] == [512, 2048, 0]
    second = (default["dollars"] - own["dollars"]) / (default["handler_ms"] / 1000)
    assert heavy["dollars"] - own["dollars"] == pytest.approx(4 * (default["dollars"] - own["dollars"]))
    assert second == pytest.approx(0.5 * 13.3334e-6, rel=0.01)


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"queue": "absent"}, "queue"), ({"priority": 11}, "priority"), ({"name": "tidegate.webhook"}, "name")],
)
def test_what_would_be_refused_is_refused(api: Api, fields: dict[str, object], field: str) -> None:
    refused = dry(api, **fields)
    assert (refused.status, refused.body["details"]["errors"][0]["field"]) == (422, field)
    assert dry(api.by(scopes="read")).status == 403


@pytest.mark.parametrize("query", ["dryrun=true", "dry_run=maybe", "dry_run=true&x=1"])
def test_a_misspelt_wish_is_no_submission(api: Api, query: str) -> None:
    assert api.call("POST", "/jobs", '{"name": "work"}', query=query).status == 422
    assert api.get("/jobs").body["jobs"] == []


def test_the_client_and_the_command_line_say_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clear, token = new_token(home.clock.now(), tenant="main", user="ada", scopes=["submit"])
    home.ports.tokens.put(token)
    with client_of(home.app, clear) as client:
        found = client.estimate("work", {"page": 1}, priority="high")
    assert found["region"] == "us-east-1"
    monkeypatch.setattr(session.Session, "client", lambda self, tries=4: client_of(home.app, clear))
    with pytest.raises(SystemExit) as ended:
        main(["submit", "work", "--dry-run"])
    assert ended.value.code in (0, None)
    assert f"About ${found['dollars']:.9f} in the cloud" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["submit", "work", "--dry-run", "--watch"])
    assert ended.value.code == 2
