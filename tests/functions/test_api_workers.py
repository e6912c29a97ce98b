"""The routes of workers over HTTPS: claims, heartbeats, outcomes, and who works."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from gateway import MORNING, Answer, Api, read, sample
from tidegate_functions.api import workers as routes
from tidegate_functions.api.handler import handler

from home import Home
from tidegate import runtime
from tidegate.domain.job import State
from tidegate.local.functions import Context
from tidegate.ports import Held, Worker
from tidegate.runtime import App

OUTCOMES: dict[str, dict[str, Any]] = {
    "heartbeat": {},
    "logs": {"lines": [{"message": "hello"}]},
    "complete": {"result": 1},
    "fail": {"error_message": "no"},
    "snooze": {"seconds": 5},
    "skip": {"reason": "nothing"},
    "stopped": {},
}


@pytest.fixture
def worker(api: Api) -> Api:
    """A token of the scope `work`, of nobody who submits."""
    return api.by(user="gpu-box", scopes="work")


def claim(worker: Api, **asked: Any) -> Answer:
    return worker.post("/workers/claim", {"worker_id": "w-1", **asked})


def held(api: Api, worker: Api, **fields: Any) -> dict[str, Any]:
    """A job that was submitted and claimed."""
    api.submit(job_id="j", **fields)
    (job,) = claim(worker).body["jobs"]
    found: dict[str, Any] = job
    return found


def test_a_claim_answers_the_job_with_its_data_and_lease(api: Api, worker: Api) -> None:
    api.submit(job_id="j", data={"pages": [1, 2]}, priority="high", timeout=30, tags=["x"], metadata={"k": "v"})
    answer = claim(worker)
    assert answer.status == 200
    assert (answer.body["lease_seconds"], answer.body["longest_wait_seconds"]) == (10.0, 20.0)
    (job,) = answer.body["jobs"]
    assert (job["id"], job["data"], job["attempt"], job["timeout"]) == ("j", {"pages": [1, 2]}, 1, 30.0)
    assert (job["state"], job["worker_id"], job["tags"], job["metadata"]) == ("ACTIVE", "w-1", ["x"], {"k": "v"})
    assert job["lease_until"] == "2033-05-18T08:00:10.000Z"
    assert claim(worker).body["jobs"] == []


def test_as_many_as_asked_for_are_claimed(api: Api, worker: Api) -> None:
    for number in range(12):
        api.submit(job_id=f"j-{number:02}")
    assert [job["id"] for job in claim(worker, max=10).body["jobs"]] == [f"j-{number:02}" for number in range(10)]
    assert len(claim(worker, max=10).body["jobs"]) == 2


def test_a_job_is_run_to_its_end(api: Api, worker: Api, home: Home) -> None:
    job = held(api, worker)
    home.clock.advance(8)
    beat = worker.post("/jobs/j/heartbeat", {"attempt": 1, "progress": {"fraction": 0.5, "message": "page 3"}})
    assert (beat.body["lease_until"], beat.body["cancel_requested"]) == ("2033-05-18T08:00:18.000Z", False)
    assert api.get("/jobs/j").body["job"]["progress"] == {"fraction": 0.5, "message": "page 3"}
    done = worker.post("/jobs/j/complete", {"attempt": job["attempt"], "result": {"pages": 3}})
    assert (done.status, done.body["job"]["state"], done.body["job"]["result"]) == (200, "COMPLETED", {"pages": 3})


@pytest.mark.parametrize(
    ("how", "body", "state"),
    [
        ("fail", {"error_message": "no"}, "RETRY"),
        ("fail", {"error_message": "no", "permanent": True, "error_type": "validation"}, "FAILED"),
        ("snooze", {"seconds": 5}, "RETRY"),
        ("skip", {"reason": "nothing"}, "SKIPPED"),
        ("stopped", {}, "CANCELLED"),
    ],
)
def test_an_attempt_ends_as_told(api: Api, worker: Api, how: str, body: dict[str, Any], state: str) -> None:
    held(api, worker)
    answer = worker.post(f"/jobs/j/{how}", {"attempt": 1, **body})
    assert (answer.status, answer.body["job"]["state"]) == (200, state)
    assert answer.body["job"]["error_message"] == body.get("error_message")
    assert answer.body["job"]["error_type"] == (body.get("error_type", "agent") if how == "fail" else None)


def test_a_cancelled_job_is_told_so_with_its_heartbeat(api: Api, worker: Api) -> None:
    held(api, worker)
    api.post("/jobs/j/cancel")
    assert worker.post("/jobs/j/heartbeat", {"attempt": 1}).body["cancel_requested"] is True
    failed = worker.post("/jobs/j/fail", {"attempt": 1, "error_message": "no"})
    assert failed.body["job"]["state"] == "CANCELLED", "there is no other attempt"


@pytest.mark.parametrize(("how", "body"), OUTCOMES.items())
def test_who_lost_the_lease_changes_nothing(api: Api, worker: Api, home: Home, how: str, body: dict[str, Any]) -> None:
    held(api, worker)
    for attempt, state in ((2, "ACTIVE"), (1, "COMPLETED")):
        if state == "COMPLETED":
            worker.post("/jobs/j/complete", {"attempt": 1, "result": "first"})
        answer = worker.post(f"/jobs/j/{how}", {"attempt": attempt, **body})
        assert (answer.status, answer.body["code"]) == (409, "LEASE_LOST")
        assert (answer.body["details"]["state"], answer.body["details"]["attempt"]) == (state, 1)
    assert home.job("j").result == "first"


@pytest.mark.parametrize(("how", "body"), OUTCOMES.items())
def test_another_tenants_job_is_not_there(api: Api, worker: Api, home: Home, how: str, body: dict[str, Any]) -> None:
    held(api, worker)
    rival = worker.by(tenant="rival")
    assert rival.post(f"/jobs/j/{how}", {"attempt": 1, **body}).status == 404
    assert rival.get("/jobs/j/data", "attempt=1").status == 404
    assert home.job("j").state is State.ACTIVE


def test_a_tenant_claims_its_own_jobs_alone(api: Api, worker: Api) -> None:
    api.submit(job_id="j")
    assert claim(worker.by(tenant="rival"), max=10).body["jobs"] == []
    assert len(claim(worker, max=10).body["jobs"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"),
    [
        ("POST", "/workers/claim", '{"worker_id": "w"}', "work"),
        ("PUT", "/workers/w", '{"started_at": "2033-05-18T08:00:00Z"}', "work"),
        ("GET", "/workers", None, "read"),
        ("POST", "/jobs/j/heartbeat", '{"attempt": 1}', "work"),
        ("POST", "/jobs/j/logs", '{"attempt": 1, "lines": []}', "work"),
        ("POST", "/jobs/j/complete", '{"attempt": 1}', "work"),
        ("POST", "/jobs/j/fail", '{"attempt": 1, "error_message": "no"}', "work"),
        ("POST", "/jobs/j/snooze", '{"attempt": 1, "seconds": 1}', "work"),
        ("POST", "/jobs/j/skip", '{"attempt": 1}', "work"),
        ("POST", "/jobs/j/stopped", '{"attempt": 1}', "work"),
    ],
)
def test_each_route_needs_its_scope(
    api: Api, worker: Api, home: Home, method: str, path: str, body: str | None, scope: str
) -> None:
    held(api, worker)
    answer = api.by(scopes="submit operate" + (" read" if scope == "work" else "")).call(method, path, body)
    assert (answer.status, answer.body["details"]) == (403, {"scope": scope})
    assert (home.job("j").state, home.job("j").lease_until) == (State.ACTIVE, MORNING + 10_000)


@pytest.mark.parametrize("what", ["data", "upstream", "entries"])
def test_what_a_job_works_on_needs_the_scope_and_the_attempt(api: Api, worker: Api, what: str) -> None:
    held(api, worker, data="secret")
    assert api.by(scopes="read submit operate").get(f"/jobs/j/{what}", "attempt=1").status == 403
    assert worker.by(tenant="rival").get(f"/jobs/j/{what}", "attempt=1").status == 404
    assert worker.get(f"/jobs/j/{what}", "attempt=2").status == 409
    assert worker.get(f"/jobs/j/{what}").status == 422


def test_the_data_of_a_held_job_is_answered(api: Api, worker: Api) -> None:
    held(api, worker, data="secret")
    assert worker.get("/jobs/j/data", "attempt=1").body["data"] == "secret"


def test_a_log_is_kept_once_however_often_it_is_sent(api: Api, worker: Api, home: Home) -> None:
    held(api, worker)
    home.clock.advance(5)
    told = {"attempt": 1, "number": 1, "lines": [{"message": "a", "seconds_ago": 2}, {"level": "warn", "message": "b"}]}
    for _ in range(2):
        answer = worker.post("/jobs/j/logs", told)
        assert (answer.status, answer.body["number"], answer.body["kept"]["lines"]) == (200, 1, 2)
    assert worker.post("/jobs/j/logs", {"attempt": 1, "lines": [{"message": "c"}]}).body["number"] == 2
    assert worker.post("/jobs/j/logs", {"attempt": 1, "lines": []}).body["kept"]["lines"] == 3
    lines = api.get("/jobs/j/logs").body["lines"]
    assert [(line["time"][17:], line["level"], line["message"]) for line in lines] == [
        ("03.000Z", "INFO", "a"),
        ("05.000Z", "WARNING", "b"),
        ("05.000Z", "INFO", "c"),
    ]


def test_a_log_has_its_limits_whoever_writes_it(api: Api, worker: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.domain.logs.MAX_LINES", 5)
    monkeypatch.setattr("tidegate.domain.logs.LAST_WORDS", 1)
    held(api, worker)
    answers = [
        worker.post("/jobs/j/logs", {"attempt": 1, "lines": [{"message": str(number)} for number in range(4)]}).body
        for _ in range(3)
    ]
    assert [answer["kept"]["lines"] for answer in answers] == [4, 6, 6]
    assert len(api.get("/jobs/j/logs").body["lines"]) == 6


def test_a_worker_that_cleans_up_is_asked_to_before_the_job_ends(api: Api, worker: Api, home: Home) -> None:
    held(api, worker)
    api.post("/jobs/j/cancel")
    for how, body in (("fail", {"error_message": "no"}), ("snooze", {"seconds": 1})):
        answer = worker.post(f"/jobs/j/{how}", {"attempt": 1, "cleans_up": True, **body})
        assert (answer.status, answer.body["code"]) == (409, "STOP_ASKED")
        assert home.job("j").state is State.ACTIVE
    progress = {"fraction": 0.25, "message": "page 1"}
    told = {"attempt": 1, "error_message": "disk is gone", "error_type": "system", "progress": progress}
    ended = worker.post("/jobs/j/stopped", told).body["job"]
    assert (ended["state"], ended["error_message"], ended["error_type"]) == ("CANCELLED", "disk is gone", "system")
    assert ended["progress"] == progress


def test_large_data_comes_by_itself(api: Api, worker: Api) -> None:
    job = held(api, worker, data="x" * 200_000)
    assert (job["data"], job["omitted"]) == (None, ["data"])
    assert worker.get("/jobs/j/data", "attempt=1").body["data"] == "x" * 200_000


def test_data_that_no_answer_carries_is_refused(api: Api, worker: Api, home: Home) -> None:
    home.submit(job_id="j", data="\n" * 2_500_000)
    assert claim(worker).body["jobs"][0]["omitted"] == ["data"]
    answer = worker.get("/jobs/j/data", "attempt=1")
    assert (answer.status, answer.body["code"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "worker_id"),
        ({"worker_id": ""}, "worker_id"),
        ({"worker_id": "w", "max": 0}, "max"),
        ({"worker_id": "w", "max": 11}, "max"),
        ({"worker_id": "w", "wait_seconds": 21}, "wait_seconds"),
        ({"worker_id": "w", "wait_seconds": -1}, "wait_seconds"),
        ({"worker_id": "w", "queues": "default"}, "queues"),
        ({"worker_id": "w", "tenant": "other"}, "tenant"),
    ],
)
def test_a_wrong_claim_is_named_and_starts_nothing(
    api: Api, worker: Api, home: Home, body: dict[str, Any], field: str
) -> None:
    api.submit(job_id="j")
    answer = worker.post("/workers/claim", body)
    assert (answer.status, [each["field"] for each in answer.body["details"]["errors"]]) == (422, [field])
    assert home.job("j").state is State.CREATED


@pytest.mark.parametrize(
    ("how", "body", "field"),
    [
        ("heartbeat", {}, "attempt"),
        ("heartbeat", {"attempt": 0}, "attempt"),
        ("heartbeat", {"attempt": 1, "progress": {"fraction": 2}}, "progress.fraction"),
        ("logs", {"attempt": 1}, "lines"),
        ("logs", {"attempt": 1, "lines": [{"message": "x", "level": "loud"}]}, "lines.0.level"),
        ("logs", {"attempt": 1, "lines": [{"message": "x", "seconds_ago": -1}]}, "lines.0.seconds_ago"),
        ("logs", {"attempt": 1, "lines": [{"message": "x" * 8_000}] * 33}, "lines"),
        ("fail", {"attempt": 1}, "error_message"),
        ("fail", {"attempt": 1, "error_message": "no", "error_type": "mine"}, "error_type"),
        ("snooze", {"attempt": 1, "seconds": -1}, "seconds"),
        ("complete", {"attempt": 1, "state": "FAILED"}, "state"),
    ],
)
def test_a_wrong_word_of_a_worker_is_named(
    api: Api, worker: Api, home: Home, how: str, body: dict[str, Any], field: str
) -> None:
    held(api, worker)
    answer = worker.post(f"/jobs/j/{how}", body)
    assert (answer.status, [each["field"] for each in answer.body["details"]["errors"]]) == (422, [field])
    assert home.job("j").state is State.ACTIVE


def test_a_pool_that_is_not_deployed_is_refused(worker: Api, home: Home) -> None:
    """In the cloud: here any name will do."""
    assert claim(worker, pool="gpu").status == tell(worker, pool="gpu").status == 200
    with runtime.use(home.with_ports(pools=frozenset({"default"})).app):
        for answer in (claim(worker, pool="tpu"), tell(worker, "w-2", pool="tpu")):
            assert (answer.status, [each["field"] for each in answer.body["details"]["errors"]]) == (422, ["pool"])
    assert [each.id for each in home.ports.workers.list(0)] == ["w-1"]


def test_a_long_error_is_cut(api: Api, worker: Api, home: Home) -> None:
    held(api, worker)
    worker.post("/jobs/j/fail", {"attempt": 1, "error_message": "x" * 5_000})
    assert len(home.job("j").error_message or "") == 2_000


# Waiting.


def test_a_claim_waits_for_a_job(api: Api, worker: Api, home: Home) -> None:
    def submit_later() -> None:
        time.sleep(0.3)
        home.submit(job_id="j")
        home.close()

    later = threading.Thread(target=submit_later)
    later.start()
    began = time.monotonic()
    assert [job["id"] for job in claim(worker, wait_seconds=20).body["jobs"]] == ["j"]
    assert 0.2 < time.monotonic() - began < 18
    later.join()


def test_a_claim_waits_no_longer_than_asked(worker: Api) -> None:
    began = time.monotonic()
    assert claim(worker, wait_seconds=0.4).body["jobs"] == []
    assert 0.3 < time.monotonic() - began < 15


def test_in_the_cloud_a_claim_waits_a_second_at_most(home: Home) -> None:
    in_cloud = replace(home.app.settings, data=None)
    assert routes.longest_wait(App(home.ports, in_cloud)) == 1.0
    assert routes.longest_wait(home.app) == 20.0


def test_nothing_is_claimed_for_who_has_hung_up(home: Home) -> None:
    """The local server ends the context of a request whose client is gone."""
    context, event = Context("api"), sample("api-post-workers-claim")
    event["body"] = json.dumps({"worker_id": "w-1", "wait_seconds": 20})
    answers: list[Answer] = []

    def wait() -> None:
        with runtime.use(home.app):
            answers.append(read(handler(event, context)))
        home.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.3)
    context.end()
    waiting.join(5)
    assert not waiting.is_alive()
    assert answers[0].body["jobs"] == []


# Who works.


def tell(worker: Api, worker_id: str = "w-1", **told: Any) -> Answer:
    body = {"pool": "default", "host": "box", "concurrency": 2, "started_at": "2033-05-18T07:00:00Z", **told}
    return worker.call("PUT", f"/workers/{worker_id}", json.dumps(body))


def test_a_worker_and_what_it_runs_is_shown(api: Api, worker: Api) -> None:
    held(api, worker)
    worker.post("/jobs/j/heartbeat", {"attempt": 1, "progress": {"fraction": 0.25, "message": "page 1"}})
    assert tell(worker, names=["work"], running=[{"job_id": "j", "attempt": 1}]).status == 200
    (shown,) = api.get("/workers").body["workers"]
    assert shown == {
        "id": "w-1",
        "kind": "http",
        "pool": "default",
        "queues": [],
        "names": ["work"],
        "host": "box",
        "version": "",
        "concurrency": 2,
        "busy": 1,
        "started_at": "2033-05-18T07:00:00.000Z",
        "seen_at": "2033-05-18T08:00:00.000Z",
        "running": [
            {
                "job_id": "j",
                "name": "work",
                "queue": "default",
                "attempt": 1,
                "started_at": "2033-05-18T08:00:00.000Z",
                "progress": {"fraction": 0.25, "message": "page 1"},
            }
        ],
    }


def test_a_worker_that_was_not_seen_for_a_minute_is_gone(api: Api, worker: Api, home: Home) -> None:
    tell(worker)
    home.clock.advance(60)
    assert len(api.get("/workers").body["workers"]) == 1
    home.clock.advance(0.1)
    assert api.get("/workers").body["workers"] == []


def test_a_worker_that_said_good_bye_is_gone(api: Api, worker: Api) -> None:
    tell(worker)
    assert tell(worker, stopped=True).body["message"] == "Good-bye"
    assert api.get("/workers").body["workers"] == []


def test_what_has_ended_meanwhile_is_not_shown_as_running(api: Api, worker: Api) -> None:
    held(api, worker)
    tell(worker, running=[{"job_id": "j", "attempt": 1}, {"job_id": "no-such-job", "attempt": 1}])
    worker.post("/jobs/j/complete", {"attempt": 1})
    (shown,) = api.get("/workers").body["workers"]
    assert (shown["busy"], shown["running"]) == (2, [])


def test_jobs_of_others_are_counted_and_not_shown(api: Api, worker: Api) -> None:
    held(api, worker)
    tell(worker, running=[{"job_id": "j", "attempt": 1}])
    other = api.by(user="bob")
    assert [(each["busy"], each["running"]) for each in other.get("/workers").body["workers"]] == [(1, [])]
    operator = other.by(scopes="read operate").get("/workers").body["workers"]
    assert [run["job_id"] for run in operator[0]["running"]] == ["j"]


def test_tenants_see_their_own_workers_and_those_that_work_for_all(api: Api, worker: Api, home: Home) -> None:
    tell(worker)
    tell(worker.by(tenant="rival"), "r-1")
    shared = Worker(
        id="lambda-1",
        kind="lambda",
        pool="default",
        started_at=MORNING,
        seen_at=MORNING,
        running=(Held("rival", "theirs", 1),),
    )
    home.ports.workers.put(shared)
    assert [each["id"] for each in api.get("/workers").body["workers"]] == ["lambda-1", "w-1"]
    rival = api.by(tenant="rival").get("/workers").body["workers"]
    assert [each["id"] for each in rival] == ["lambda-1", "r-1"]


def test_a_worker_cannot_tell_of_another_tenant(api: Api, worker: Api, home: Home) -> None:
    """The tenant comes from the token: a job of that id elsewhere is not shown."""
    held(api, worker)
    tell(worker.by(tenant="rival"), running=[{"job_id": "j", "attempt": 1}])
    rival = api.by(tenant="rival", scopes="read operate")
    assert [each["running"] for each in rival.get("/workers").body["workers"]] == [[]]


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"started_at": "yesterday"}, "started_at"),
        ({"running": [{"job_id": "j", "attempt": 1}] * 101}, "running"),
        ({"kind": "lambda"}, "kind"),
    ],
)
def test_a_wrong_word_about_a_worker_is_named(worker: Api, home: Home, told: dict[str, Any], field: str) -> None:
    answer = tell(worker, **told)
    assert (answer.status, [each["field"] for each in answer.body["details"]["errors"]]) == (422, [field])
    assert home.ports.workers.list(0) == []
