"""Limits of queues and unique keys over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway import Answer, Api

from home import Home
from tidegate.domain.job import ErrorType
from tidegate.domain.limits import Semaphore
from tidegate.domain.ticket import Lane, ticket_for
from tidegate.service import settle
from tidegate.service.claim import Claimed, claim_for


@pytest.fixture(autouse=True)
def _narrow(operator: Api) -> None:
    put(operator)


def put(api: Api, **settings: Any) -> Answer:
    return api.call("PUT", "/queues/narrow", json.dumps(settings))


def submit(api: Api, **fields: Any) -> Answer:
    return api.submit(queue="narrow", **fields)


def start(home: Home, job_id: str) -> Any:
    claim = claim_for(home.ports, ticket_for(home.job(job_id)), "w", 10, receives=1)
    assert isinstance(claim, Claimed)
    return claim.job


LIMITS = {
    "slots": 3,
    "key_slots": 1,
    "rate_limit": 10,
    "rate_period": "minute",
    "max_queue_size": 5,
    "timeout_retry_limit": 0,
}


def test_limits_are_set_shown_and_taken_away(operator: Api) -> None:
    queue = put(operator, **LIMITS).body["queue"]
    assert {name: queue[name] for name in LIMITS} == LIMITS
    patched = operator.call("PATCH", "/queues/narrow", json.dumps({"slots": None, "rate_period": "second"}))
    assert (patched.body["queue"]["slots"], patched.body["queue"]["rate_period"]) == (None, "second")
    assert patched.body["queue"]["key_slots"] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("slots", 0), ("slots", 501), ("key_slots", 0), ("rate_limit", 0), ("rate_limit", 1.5), ("slots", True),
     ("rate_period", "hour"), ("max_queue_size", 0), ("timeout_retry_limit", -1), ("shards", 0),
     ("shards", 21)],
)  # fmt: skip
def test_a_limit_out_of_bounds_is_refused_by_name(operator: Api, name: str, value: Any) -> None:
    answer = put(operator, **{name: value})
    assert answer.status == 422
    assert answer.body["details"]["errors"][0]["field"] == name


def test_the_use_of_a_queue_is_shown_beside_its_limits(operator: Api, home: Home) -> None:
    put(operator, **LIMITS)
    keys = ("a", "b", None, "a")
    ids = [submit(operator, concurrency_key=key).body["job_id"] for key in keys]
    running = [start(home, job_id) for job_id in ids[:3]]
    home.pump()
    use = operator.get("/queues/narrow").body["queue"]["use"]
    assert use == {
        "running": 3,
        "slots": 3,
        "keys": {"a": 1, "b": 1},
        "key_slots": 1,
        "starts": 3,
        "rate_limit": 10,
        "size": 1,
        "max_queue_size": 5,
    }
    for job in running:
        settle.complete(home.ports, job, 1)
    use = operator.get("/queues/narrow").body["queue"]["use"]
    assert (use["running"], use["keys"]) == (0, {})
    assert "use" not in operator.get("/queues").body["queues"][1]


class TestFullQueue:
    def test_what_does_not_fit_is_refused_with_the_reason_and_when_to_come_back(self, operator: Api) -> None:
        put(operator, max_queue_size=2)
        assert [submit(operator).status for _ in range(2)] == [201, 201]
        refused = submit(operator)
        assert (refused.status, refused.headers["retry-after"]) == (429, "2")
        assert refused.body["code"] == "TOO_MANY_REQUESTS"
        assert refused.body["details"] == {"queue": "narrow", "limit": 2, "retry_after": 2}
        assert "queue 'narrow' is full: 2 jobs" in refused.body["message"]
        assert len(operator.get("/jobs").body["jobs"]) == 2

    def test_of_a_batch_the_jobs_that_fit_are_accepted(self, operator: Api) -> None:
        put(operator, max_queue_size=2)
        names = ["narrow", "default", "narrow", "narrow", "narrow", "default"]
        answer = operator.post("/jobs/batch", {"jobs": [{"name": "work", "queue": name} for name in names]}).body
        assert len(answer["accepted"]) == 4
        assert [(each["index"], each["code"]) for each in answer["rejected"]] == [
            (3, "TOO_MANY_REQUESTS"),
            (4, "TOO_MANY_REQUESTS"),
        ]

    def test_what_was_accepted_before_is_answered_as_such(self, operator: Api) -> None:
        put(operator, max_queue_size=1)
        assert submit(operator, job_id="a").status == 201
        assert submit(operator, job_id="a").status == 200
        assert submit(operator, job_id="a", priority=9).status == 409
        assert submit(operator, job_id="b").status == 429

    def test_a_submission_that_stores_nothing_takes_no_room(self, operator: Api, home: Home) -> None:
        put(operator, max_queue_size=2)
        for _ in range(5):
            submit(operator, job_id="a")
        submit(operator, unique_key="k")
        home.pump()
        assert operator.get("/queues/narrow").body["queue"]["use"]["size"] == 2

    @pytest.mark.parametrize("how", ["started", "cancelled", "expired"])
    def test_a_job_that_no_longer_waits_makes_room(self, operator: Api, home: Home, how: str) -> None:
        put(operator, max_queue_size=1)
        job_id = submit(operator, expire_in_seconds=5).body["job_id"]
        home.pump()
        assert submit(operator).status == 429
        match how:
            case "started":
                start(home, job_id)
            case "cancelled":
                operator.post(f"/jobs/{job_id}/cancel")
            case "expired":
                home.clock.advance(61)
                home.tick(60)
        home.pump()
        assert submit(operator).status == 201
        assert submit(operator).status == 429

    def test_retries_take_no_room_and_a_restart_does(self, operator: Api, home: Home) -> None:
        put(operator, max_queue_size=1, retry_limit=1)
        job = start(home, submit(operator).body["job_id"])
        settle.fail(home.ports, job, ErrorType.AGENT, "no", permanent=False, reach=0)
        home.pump()
        second = submit(operator).body["job_id"]
        operator.post(f"/jobs/{second}/cancel")
        home.pump()
        assert operator.get("/queues/narrow").body["queue"]["use"]["size"] == 0
        operator.post(f"/jobs/{second}/retry")
        home.pump()
        assert submit(operator).status == 429

    def test_room_that_a_crash_took_comes_back(self, operator: Api, home: Home) -> None:
        """A submitter died between counting its jobs and storing them."""
        put(operator, max_queue_size=3)
        home.ports.backlogs.admit_if_room(Lane("main", "narrow"), 3, 3, home.clock.now())
        home.clock.advance(299)
        assert submit(operator).status == 429
        home.clock.advance(2)
        assert [submit(operator).status for _ in range(4)] == [201, 201, 201, 429]

    def test_the_size_is_that_of_a_recount_whatever_happened(self, operator: Api, home: Home) -> None:
        put(operator, max_queue_size=20, retry_limit=0)
        ids = [submit(operator, priority=n % 10).body["job_id"] for n in range(12)]
        running = [start(home, ids[9]), start(home, ids[8])]
        operator.post(f"/jobs/{ids[0]}/cancel")
        settle.complete(home.ports, running[0], 1)
        settle.fail(home.ports, running[1], ErrorType.AGENT, "no", permanent=True, reach=0)
        operator.post(f"/jobs/{running[1].id}/retry")
        home.pump()
        listed = operator.get("/jobs", "state=CREATED&limit=100").body["jobs"]
        assert operator.get("/queues/narrow").body["queue"]["use"]["size"] == len(listed) == 10


class TestUniqueKeys:
    def test_a_second_open_job_is_refused_unless_told_otherwise(self, api: Api) -> None:
        first = submit(api, unique_key="invoice 7").body["job"]
        assert (first["unique_key"], first["policy"]) == ("invoice 7", "REJECT_DUPLICATE")
        refused = submit(api, unique_key="invoice 7")
        assert refused.status == 409
        assert refused.body["details"]["job_id"] == first["id"]
        assert submit(api, unique_key="invoice 8").status == 201
        assert api.submit(unique_key="invoice 7").status == 201, "another queue"
        api.post(f"/jobs/{first['id']}/cancel")
        assert submit(api, unique_key="invoice 7").status == 201

    def test_allow_duplicate_answers_the_open_job(self, api: Api) -> None:
        first = submit(api, unique_key="k", policy="ALLOW_DUPLICATE")
        again = submit(api, unique_key="k", policy="allow_duplicate", data={"other": 1})
        assert (first.status, again.status) == (201, 200)
        assert again.body["job_id"] == first.body["job_id"]
        api.post(f"/jobs/{first.body['job_id']}/cancel")
        assert submit(api, unique_key="k", policy="ALLOW_DUPLICATE").status == 201

    def test_allow_all_stores_every_job(self, api: Api) -> None:
        assert [submit(api, unique_key="k", policy="ALLOW_ALL").status for _ in range(3)] == [201] * 3

    def test_reject_all_refuses_as_long_as_a_job_exists(self, api: Api) -> None:
        job_id = submit(api, unique_key="k", policy="REJECT_ALL").body["job_id"]
        api.post(f"/jobs/{job_id}/cancel")
        assert submit(api, unique_key="k", policy="REJECT_ALL").status == 409
        api.call("DELETE", f"/jobs/{job_id}")
        assert submit(api, unique_key="k", policy="REJECT_ALL").status == 201

    def test_replace_cancels_the_one_that_waits(self, api: Api, home: Home) -> None:
        first, second, third = (submit(api, unique_key="k", policy="REPLACE").body["job_id"] for _ in range(3))
        states = [home.job(job_id).state for job_id in (first, second, third)]
        assert states == ["CANCELLED", "CANCELLED", "CREATED"]
        assert home.job(first).reason == f"replaced by job {second}"

    def test_replace_asks_the_one_that_runs_to_stop(self, api: Api, home: Home) -> None:
        first = submit(api, unique_key="k", policy="REPLACE").body["job_id"]
        start(home, first)
        second = submit(api, unique_key="k", policy="REPLACE")
        assert second.status == 201
        assert home.job(first).cancel_requested
        assert submit(api, unique_key="k").status == 409

    def test_the_same_request_again_is_the_same_job(self, api: Api) -> None:
        for policy in ("REJECT_ALL", "REJECT_DUPLICATE", "REPLACE", "ALLOW_DUPLICATE"):
            answers = [submit(api, job_id=f"j-{policy}", unique_key=policy, policy=policy) for _ in range(2)]
            assert [answer.status for answer in answers] == [201, 200]

    @pytest.mark.parametrize("policy", ["REPLACE", "ALLOW_DUPLICATE", "REJECT_DUPLICATE"])
    def test_another_users_job_is_neither_shown_nor_stopped(self, api: Api, home: Home, policy: str) -> None:
        job_id = submit(api, unique_key="k").body["job_id"]
        answer = submit(api.by(user="bob"), unique_key="k", policy=policy)
        assert answer.status == 409
        assert job_id not in answer.text
        assert home.job(job_id).state == "CREATED"
        assert not home.job(job_id).cancel_requested

    def test_a_restart_needs_the_key(self, api: Api) -> None:
        first = submit(api, unique_key="k").body["job_id"]
        api.post(f"/jobs/{first}/cancel")
        second = submit(api, unique_key="k").body["job_id"]
        refused = api.post(f"/jobs/{first}/retry")
        assert (refused.status, refused.body["details"]) == (409, {"unique_key": "k"})
        api.post(f"/jobs/{second}/cancel")
        assert api.post(f"/jobs/{first}/retry").status == 200
        assert submit(api, unique_key="k").status == 409

    def test_in_a_batch_the_first_of_a_key_is_accepted(self, api: Api) -> None:
        body = {"jobs": [{"name": "work", "unique_key": key} for key in ("a", "b", "a", "b")]}
        answer = api.post("/jobs/batch", body).body
        assert len(answer["accepted"]) == 2
        assert [(each["index"], each["code"]) for each in answer["rejected"]] == [(2, "CONFLICT"), (3, "CONFLICT")]

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"unique_key": ""}, "unique_key"),
            ({"unique_key": "x" * 257}, "unique_key"),
            ({"concurrency_key": "a\nb"}, "concurrency_key"),
            ({"unique_key": "k", "policy": "KEEP"}, "policy"),
            ({"policy": "REPLACE"}, "policy"),
            ({"timeout_retry_limit": -1}, "timeout_retry_limit"),
        ],
    )
    def test_a_wrong_field_is_named(self, api: Api, fields: Any, field: str) -> None:
        answer = submit(api, **fields)
        assert answer.status == 422
        assert answer.body["details"]["errors"][0]["field"] == field


class TestTimeouts:
    @pytest.mark.parametrize(("limit", "attempts"), [(0, 1), (1, 2), (None, 4)])
    def test_retries_after_timeouts_have_a_limit_of_their_own(
        self, operator: Api, home: Home, limit: int | None, attempts: int
    ) -> None:
        put(operator, retry_limit=3, retry_delay=0, timeout_retry_limit=limit)
        job_id = submit(operator).body["job_id"]
        for number in range(1, attempts + 1):
            settle.fail(home.ports, start(home, job_id), ErrorType.TIMEOUT, "slow", permanent=False, reach=0)
            assert home.job(job_id).state == ("FAILED" if number == attempts else "RETRY")

    def test_other_failures_are_retried_as_before(self, operator: Api, home: Home) -> None:
        put(operator, retry_limit=2, retry_delay=0)
        job_id = submit(operator, timeout_retry_limit=0).body["job_id"]
        for state in ("RETRY", "RETRY", "FAILED"):
            settle.fail(home.ports, start(home, job_id), ErrorType.AGENT, "no", permanent=False, reach=0)
            assert home.job(job_id).state == state

    def test_an_explicit_retry_counts_timeouts_anew(self, operator: Api, home: Home) -> None:
        put(operator, retry_limit=3, retry_delay=0, timeout_retry_limit=1)
        job_id = submit(operator).body["job_id"]
        for _ in range(2):
            settle.fail(home.ports, start(home, job_id), ErrorType.TIMEOUT, "slow", permanent=False, reach=0)
        operator.post(f"/jobs/{job_id}/retry")
        settle.fail(home.ports, start(home, job_id), ErrorType.TIMEOUT, "slow", permanent=False, reach=0)
        assert home.job(job_id).state == "RETRY"


def test_a_parked_job_is_still_pending(operator: Api, home: Home) -> None:
    put(operator, key_slots=1)
    first, second = (submit(operator, concurrency_key="a").body["job_id"] for _ in range(2))
    start(home, first)
    home.drain(home.runner())
    assert operator.get(f"/jobs/{second}").body["job"]["status"] == "pending"
    assert home.ports.slots.get(Semaphore(Lane("main", "narrow"), "a")).waiting == second
