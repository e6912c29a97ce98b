"""What the client's methods send and what they make of the answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from scripted import DONE, JOB, Script, batch_server, client_for, ok, refusal

from tidegate.client import (
    WaitTimeout,
)
from tidegate.domain import errors


def test_many_jobs_go_in_hundreds_and_rejections_count_over_the_whole_list() -> None:
    sizes: list[int] = []

    def server(request: httpx.Request) -> httpx.Response:
        sizes.append(len(json.loads(request.content)["jobs"]))
        return batch_server(request)

    jobs = ({"name": "bad" if n in (3, 204) else "good", "data": n} for n in range(250))
    batch = client_for(server).submit_many(jobs)
    assert sizes == [100, 100, 50]
    assert [each.index for each in batch.rejected] == [3, 204]
    assert len(set(batch.accepted)) == 248


def test_large_jobs_go_in_smaller_requests() -> None:
    sizes: list[int] = []

    def server(request: httpx.Request) -> httpx.Response:
        sizes.append(len(request.content))
        return batch_server(request)

    batch = client_for(server).submit_many([{"name": "good", "data": "x" * 1_500_000}] * 5)
    assert len(batch.accepted) == 5
    assert len(sizes) == 3
    assert max(sizes) < 4_100_000


def test_a_job_too_large_for_any_request_is_rejected_and_the_others_are_not() -> None:
    def server(request: httpx.Request) -> httpx.Response:
        if len(request.content) > 6_000_000:
            return refusal(413, "PAYLOAD_TOO_LARGE", "data: at most 6000000 bytes")
        return batch_server(request)

    batch = client_for(server).submit_many([{"name": "a"}, {"name": "b", "data": "x" * 7_000_000}, {"name": "c"}])
    assert len(batch.accepted) == 2
    assert [(each.index, each.code) for each in batch.rejected] == [(1, "PAYLOAD_TOO_LARGE")]


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object(), "\ud800"])
def test_what_json_cannot_carry_is_refused_before_it_is_sent(value: Any) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot be written as JSON"):
        client_for(Script()).submit("extract", value)


def test_a_time_without_a_zone_is_refused() -> None:
    naive = datetime(2030, 1, 1)  # noqa: DTZ001
    with pytest.raises(errors.InvalidInput, match="start_after: must carry a time zone"):
        client_for(Script()).submit("extract", start_after=naive)


def test_tags_given_as_one_word_are_refused_rather_than_spelled() -> None:
    with pytest.raises(errors.InvalidInput, match="tags"):
        client_for(Script()).submit("extract", tags="urgent")


def test_listing_follows_the_cursor_and_stops_at_the_number_asked_for() -> None:
    def server(request: httpx.Request) -> httpx.Response:
        params = request.url.params
        first, limit = int(params.get("cursor", "0")), int(params["limit"])
        jobs = [{**JOB, "id": f"j{n}"} for n in range(first, min(first + limit, 450))]
        after = first + limit
        return ok(jobs=jobs, total_count=450, next_cursor=str(after) if after < 450 else None)

    assert [job.id for job in client_for(server).list()] == [f"j{n}" for n in range(450)]
    assert len(list(client_for(server).list(max_jobs=201))) == 201
    assert list(client_for(Script()).list(max_jobs=0)) == []


def test_filters_are_query_parameters() -> None:
    script = Script(ok(jobs=[], total_count=0, next_cursor=None))
    since = datetime(2025, 1, 1, tzinfo=UTC)
    client_for(script).page(state=["failed", "RETRY"], name="a&b", metadata={"team": "x"}, created_from=since, tag=None)
    assert script.requests[0].url.params.multi_items() == [
        ("state", "failed"),
        ("state", "RETRY"),
        ("name", "a&b"),
        ("metadata.team", "x"),
        ("created_from", "2025-01-01T00:00:00.000Z"),
        ("limit", "50"),
    ]


def test_ids_and_names_cannot_leave_their_place_in_the_path() -> None:
    script = Script(ok(job=JOB))
    client_for(script).get("../queues?x#y")
    assert script.requests[0].url.raw_path == b"/jobs/..%2Fqueues%3Fx%23y"
    for name in ("", ".", ".."):
        with pytest.raises(errors.InvalidInput):
            client_for(Script()).get(name)


def test_waiting_looks_until_the_job_has_ended() -> None:
    slept: list[float] = []
    script = Script(ok(job=JOB), ok(job=JOB), ok(job=DONE))
    job = client_for(script, sleep=slept.append).wait("j1")
    assert (job.succeeded, job.result) == (True, {"pages": 3})
    assert slept == [0.1, 0.1]


def test_watching_tells_each_change_once() -> None:
    half = {**JOB, "state": "ACTIVE", "status": "running", "progress": {"fraction": 0.5, "message": "page 3"}}
    script = Script(ok(job=JOB), ok(job=JOB), ok(job=half), ok(job=half), ok(job=DONE))
    seen = [(job.state, job.progress and job.progress.fraction) for job in client_for(script).watch("j1")]
    assert seen == [("CREATED", None), ("ACTIVE", 0.5), ("COMPLETED", None)]


def test_waiting_ends_at_its_timeout_and_looks_less_often_the_longer_it_takes() -> None:
    now = [0.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    client = client_for(lambda _: ok(job=JOB), sleep=sleep, clock=lambda: now[0])
    with pytest.raises(WaitTimeout, match="job 'j1' is still CREATED after 60 s"):
        client.wait("j1", timeout=60)
    assert now[0] == pytest.approx(60)
    assert (min(pauses[:-1]), max(pauses)) == (0.1, 2.0)


def test_queues_stats_and_health_are_typed() -> None:
    queue = {"name": "reports", "retry_limit": 5, "paused": True, "paused_reason": "audit", "slots": 3}
    client = client_for(
        Script(
            ok(queues=[queue]),
            ok(queue=queue),
            ok(stats={"pending": 1, "total": 2, "states": {"CREATED": 1}, "blocked": 1}),
            httpx.Response(
                200, json={"success": True, "status": "ok", "version": "9.9", "time": "2025-01-01T00:00:00.000Z"}
            ),
            ok(tenant="main", user="ada", scopes=["read", "submit"], stage="prod", version="9.9", streams=False),
            ok(tenant="main", user="ada", scopes=["read", "submit"], stage="prod", version="9.9", streams=False),
        )
    )
    assert client.queues()[0].paused_reason == "audit"
    assert client.pause_queue("reports", "audit").raw["slots"] == 3
    assert client.stats().pending == 1
    assert client.health().version == "9.9"
    me = client.whoami()
    assert (me.user, me.tenant, me.scopes, me.stage) == ("ada", "main", ("read", "submit"), "prod")


def test_changes_have_the_method_path_and_body_of_the_api() -> None:
    queue = ok(queue={"name": "q"})
    script = Script(ok(job=JOB), ok(job=JOB), ok(job_id="j1", action="erased"), queue, queue, queue, queue)
    client = client_for(script)
    client.cancel("j1", "why")
    client.set_priority("j1", "critical")
    assert client.delete("j1") == "erased"
    client.put_queue("q", retry_limit=1)
    client.patch_queue("q", timeout=2)
    client.resume_queue("q")
    client.queue("q")
    assert [(each.method, each.url.path, each.content) for each in script.requests] == [
        ("POST", "/jobs/j1/cancel", b'{"reason":"why"}'),
        ("POST", "/jobs/j1/priority", b'{"priority":"critical"}'),
        ("DELETE", "/jobs/j1", b""),
        ("PUT", "/queues/q", b'{"retry_limit":1}'),
        ("PATCH", "/queues/q", b'{"timeout":2}'),
        ("POST", "/queues/q/resume", b"{}"),
        ("GET", "/queues/q", b""),
    ]
