"""The deployed template, driven over HTTP: submit → SQS → worker Lambda → COMPLETED."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from cloud import Cloud, eventually, token

from tidegate import runtime
from tidegate.domain.caller import Caller
from tidegate.domain.guard import Guard, GuardedWrite, due_spot
from tidegate.domain.job import State
from tidegate.domain.spec import JobSpec
from tidegate.domain.ticket import Ticket, encode, ticket_for
from tidegate.execution.registry import load_executors
from tidegate.execution.runner import Runner
from tidegate.ports import Delivery, JobKey, Ports, Tickets
from tidegate.service.submit import submit_one

CALLER = Caller("main", "tester", frozenset({"admin"}))


@pytest.fixture
def ended(http: httpx.Client) -> Callable[..., Any]:
    """Waits until a job has ended and answers it."""

    def wait(job_id: str, seconds: float = 30) -> Any:
        def look() -> Any:
            job = http.get(f"/jobs/{job_id}").json()["job"]
            return job if State(job["state"]).name in {"COMPLETED", "FAILED", "CANCELLED", "EXPIRED"} else None

        return eventually(look, seconds)

    return wait


def submit(http: httpx.Client, **body: Any) -> str:
    answer = http.post("/jobs", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job_id"])


def test_a_job_comes_out_with_its_result(http: httpx.Client, ended: Callable[..., Any]) -> None:
    job = ended(submit(http, name="echo", data={"text": "hello"}, tags=["first"]))
    assert (job["state"], job["status"], job["attempt"]) == ("COMPLETED", "completed", 1)
    assert job["result"] == {"data": {"text": "hello"}, "attempt": 1}
    assert job["worker_id"]


def test_the_answers_of_the_pipeline_document(http: httpx.Client, ended: Callable[..., Any]) -> None:
    """Seed 003's create and details, to the letter where it shows them."""
    body = {"data": {"agent": "echo", "text": "Text to process"}, "priority": 5, "tags": ["tag1", "tag2"]}
    created = http.post("/jobs", json=body).json()
    assert created["success"] is True
    assert created["message"] == "Job created and queued for processing"
    ended(created["job_id"])
    details = http.get(f"/jobs/{created['job_id']}").json()
    assert details["message"] == "Job details retrieved successfully"
    assert {"id", "status", "data", "result", "error_message", "created_at", "updated_at"} <= set(details["job"])


def test_a_failing_job_is_retried_until_it_succeeds(http: httpx.Client, ended: Callable[..., Any]) -> None:
    job = ended(submit(http, name="fail", data={"until": 3}, retry_delay=1))
    assert (job["state"], job["attempt"], job["retry_count"], job["result"]) == ("COMPLETED", 3, 2, "at last")


def test_a_job_that_never_succeeds_fails_and_leaves_no_ticket(
    http: httpx.Client, ended: Callable[..., Any], app: runtime.App
) -> None:
    job = ended(submit(http, name="fail", data={"until": 99}, retry_limit=1, retry_delay=1))
    assert (job["state"], job["error_type"], job["attempt"]) == ("FAILED", "agent", 2)
    refused = ended(submit(http, name="refuse"))
    assert (refused["state"], refused["attempt"], refused["error_message"]) == ("FAILED", 1, "never")
    unknown = ended(submit(http, name="nobody-serves-this"))
    assert (unknown["state"], unknown["error_type"]) == ("FAILED", "validation")


def test_a_poison_message_harms_nothing(
    cloud: Cloud, app: runtime.App, http: httpx.Client, ended: Callable[..., Any]
) -> None:
    """A body that is no ticket is put aside; jobs behind it run."""
    queue = app.settings.pools["default"]["normal"]
    cloud.client("sqs").send_message(QueueUrl=queue, MessageBody='{"hello": "world"}')
    assert ended(submit(http, name="echo"))["state"] == "COMPLETED"
    bucket = app.settings.bucket

    def aside() -> Any:
        found = cloud.client("s3").list_objects_v2(Bucket=bucket, Prefix="dead-letters/").get("Contents", [])
        bodies = [cloud.client("s3").get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in found]
        return [body for body in bodies if json.loads(body)["body"] == '{"hello": "world"}']

    eventually(aside)


def test_a_dead_letter_never_decides_about_a_job(cloud: Cloud, app: runtime.App, http: httpx.Client) -> None:
    """A ticket that was thrown out while its job is open is renewed: throttling burns no attempt."""
    job_id = submit(http, name="echo", start_after=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    (job,) = app.ports.jobs.get([JobKey("main", job_id)])
    assert job is not None
    queues = app.settings.pools["default"]
    cloud.client("sqs").send_message(QueueUrl=queues["dead"], MessageBody=encode(ticket_for(job)))
    attributes = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def renewed() -> bool:
        found = cloud.client("sqs").get_queue_attributes(QueueUrl=queues["dead"], AttributeNames=attributes)
        return all(int(found["Attributes"][name]) == 0 for name in attributes)

    eventually(renewed)
    (job,) = app.ports.jobs.get([JobKey("main", job_id)])
    assert job is not None
    assert (job.state, job.attempt) == (State.CREATED, 0)


class LostTickets:
    """SQS that loses every ticket, so that no deployed worker takes part."""

    def send(self, tickets: Sequence[tuple[Ticket, float]]) -> None:
        return


def without_tickets(app: runtime.App) -> Ports:
    return replace(app.ports, tickets=cast("Tickets", LostTickets()))


def test_exact_priority_on_the_deployed_table(app: runtime.App, http: httpx.Client, tmp_path: Path) -> None:
    """Tickets in any order start the jobs in exact order: here one worker has a ticket for each job, shuffled."""
    assert http.put("/queues/ordered", json={}).status_code == 200
    rng, file = random.Random(5), tmp_path / "order"
    ports = without_tickets(app)
    specs = [
        JobSpec(name="mark", queue="ordered", priority=rng.randint(0, 10), data={"file": str(file)}) for _ in range(25)
    ]
    jobs = [submit_one(ports, CALLER, spec).job for spec in specs]
    handlers = load_executors([str(Path(__file__).with_name("handlers.py"))])
    runner = Runner(ports, handlers, worker_id="one", lease_seconds=30)
    for job in rng.sample(jobs, len(jobs)):
        runner.serve(Delivery(encode(ticket_for(job)), "tidegate-e2e-default-low", "none", 1), lambda verdict: None)
    started = [line.split()[0] for line in file.read_text().splitlines()]
    assert started == [job.id for job in sorted(jobs, key=lambda job: job.rank)]


def test_who_has_no_valid_token_gets_nothing(cloud: Cloud, app: runtime.App, http: httpx.Client) -> None:
    job_id = submit(http, name="echo")
    for path in ("/jobs", f"/jobs/{job_id}", "/queues", "/stats", "/health", "/openapi.json"):
        assert httpx.get(f"{cloud.url}{path}").status_code == 401
        forged = {"authorization": "Bearer tg_000000000000_" + "x" * 43}
        assert httpx.get(f"{cloud.url}{path}", headers=forged).status_code in {401, 403}
    other = {"authorization": f"Bearer {token(app, tenant='other')}"}
    assert httpx.get(f"{cloud.url}/jobs/{job_id}", headers=other).status_code == 404
    assert http.get("/jobs/no-such-job").status_code == 404
    reader = {"authorization": f"Bearer {token(app, scopes=['read'])}"}
    assert httpx.post(f"{cloud.url}/jobs", json={"name": "echo"}, headers=reader).status_code == 403


def test_large_payloads_and_results_are_offloaded(
    http: httpx.Client, ended: Callable[..., Any], app: runtime.App
) -> None:
    job = ended(submit(http, name="echo", data={"text": "x" * 300_000}))
    assert job["result"]["data"]["text"] == "x" * 300_000
    (stored,) = app.ports.jobs.get([JobKey("main", job["id"])])
    assert stored is not None
    assert stored.data_ref is not None
    assert stored.result_ref is not None


def test_a_hundred_jobs_in_one_request(http: httpx.Client) -> None:
    answer = http.post(
        "/jobs/batch", json={"jobs": [{"name": "echo", "data": n, "tags": ["hundred"]} for n in range(100)]}
    )
    assert answer.status_code == 200
    assert len(answer.json()["accepted"]) == 100

    def all_done() -> bool:
        page = http.get("/jobs", params={"tag": "hundred", "state": "COMPLETED", "limit": 200}).json()
        return len(page["jobs"]) == 100

    eventually(all_done, 90)


def test_the_change_feed_counts(http: httpx.Client) -> None:
    """Streams → functions/changes → the counters of GET /stats."""
    before = http.get("/stats").json()["stats"]["completed"]
    submit(http, name="echo")
    assert eventually(lambda: http.get("/stats").json()["stats"]["completed"] > before, 60)


def test_the_clock_finds_a_job_whose_ticket_was_lost(cloud: Cloud, app: runtime.App) -> None:
    """The rule's own event, invoked as EventBridge would: a delayed job without a ticket is woken."""
    ports = without_tickets(app)
    job = submit_one(ports, CALLER, JobSpec(name="echo", start_after=app.ports.now() + 901_000)).job
    assert promoted_early(app, job.id, app.ports.now() + 1_000)
    event = json.loads((Path(__file__).parents[2] / "events" / "clock.json").read_text())

    def woken() -> Any:
        cloud.invoke("clock", event)
        (found,) = app.ports.jobs.get([JobKey("main", job.id)])
        return found is not None and found.state is State.COMPLETED

    eventually(woken, 30, pause=1)


def promoted_early(app: runtime.App, job_id: str, wake_at: int) -> bool:
    """Move a delayed job's time, so that the test need not wait for a quarter of an hour."""
    write = GuardedWrite(
        "main", job_id, Guard(frozenset({State.CREATED})), {"wake_at": wake_at}, due_spot(wake_at, ticketed=False)
    )
    return app.ports.jobs.apply([write])[0].applied


def test_a_result_of_5_mb_comes_back_over_http(http: httpx.Client, ended: Callable[..., Any]) -> None:
    job = ended(submit(http, name="big", data={"size": 5_000_000}), 60)
    assert (job["state"], job["result"]) == ("COMPLETED", "x" * 5_000_000)


def test_logs_and_history_of_a_deployed_job(http: httpx.Client, ended: Callable[..., Any]) -> None:
    job = ended(submit(http, name="talk", data={"lines": 1_500}))
    lines: list[str] = []
    query: dict[str, Any] = {"limit": 700}
    while True:
        page = http.get(f"/jobs/{job['id']}/logs", params=query).json()
        lines += [line["message"] for line in page["lines"]]
        query["after"] = page["next_after"]
        if not page["more"]:
            break
    assert lines == [f"line {number}" for number in range(1_500)]
    assert page["ended"] is True
    history = http.get(f"/jobs/{job['id']}/history").json()
    assert [(each["attempt"], each["outcome"]) for each in history["attempts"]] == [(1, "completed")]
    assert http.delete(f"/jobs/{job['id']}").json()["action"] == "erased"
    assert http.get(f"/jobs/{job['id']}/logs").status_code == 404


def test_transitions_are_announced_on_the_bus(cloud: Cloud, http: httpx.Client, ended: Callable[..., Any]) -> None:
    """A rule of the user's own hands them to a queue, as it would to a Lambda, an e-mail topic or Slack."""
    refused = http.get("/events")
    assert (refused.status_code, refused.json()["code"]) == (501, "NOT_SUPPORTED")
    bus = refused.json()["details"]["event_bus"]
    events, sqs = cloud.client("events"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName="listener")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["tidegate"], "detail": {"job": {"name": ["echo"]}}})
    events.put_rule(Name="echoes", EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule="echoes", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    job = ended(submit(http, name="echo", data=1))
    told: set[str] = set()

    def all_told() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            body = json.loads(message["Body"])
            if body["detail"]["job"]["id"] == job["id"]:
                told.add(body["detail-type"])
        return told == {"job.created", "job.started", "job.completed"}

    eventually(all_told, 30)


def test_the_secret_of_webhooks_is_kept_in_the_parameter_store(cloud: Cloud, http: httpx.Client) -> None:
    path = "/queues/default/webhook-secret"
    first = http.get(path).json()["secret"]
    assert http.get(path).json()["secret"] == first
    rotated = http.post(f"{path}/rotate", json={}).json()
    assert (rotated["previous"], http.get(path).json()["secret"]) == (first, rotated["secret"])
    (kept,) = cloud.client("ssm").describe_parameters()["Parameters"]
    assert kept["Type"] == "SecureString"
