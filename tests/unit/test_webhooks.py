"""Webhooks from a job's change to the message that a receiver can verify."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from home import ADMIN, Clock, Home
from support.webhooks import Receiver
from tidegate import PermanentError
from tidegate.domain.caller import Caller
from tidegate.domain.change import Change
from tidegate.domain.errors import Forbidden, InvalidInput, NotFound
from tidegate.domain.job import Job, State
from tidegate.domain.queue import Queue
from tidegate.domain.webhook import WEBHOOK_QUEUE
from tidegate.execution.registry import Executor
from tidegate.execution.runner import Runner
from tidegate.execution.webhook import webhook_executor
from tidegate.service.control import retry
from tidegate.service.policies import patch_queue, put_queue
from tidegate.service.webhook_secrets import get_secret, rotate_secret
from tidegate.service.webhooks import deliveries, send_webhooks

URL = "https://hooks.example.com/in"
HOOK = {"url": URL}


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def fail(_: object) -> None:
    raise PermanentError("no such page")


def runner(home: Home, receiver: Receiver, **functions: Any) -> Runner:
    executors = {name: Executor(name, run) for name, run in functions.items()}
    own = webhook_executor(home.ports, receiver.post)
    return Runner(home.ports, {**executors, own.name: own}, worker_id="w-1", lease_seconds=10)


def run_all(home: Home, worker: Runner) -> None:
    home.drain(worker)
    home.pump()
    home.drain(worker)
    home.pump()


def test_the_end_of_a_job_is_told_once_and_signed(home: Home, receiver: Receiver, clock: Clock) -> None:
    job = home.submit(webhook=HOOK, data={"secret": "payload"}, tags=("a",), metadata={"doc": "7"})
    run_all(home, runner(home, receiver, work=lambda _: {"pages": 3}))
    ((url, body, headers),) = receiver.messages
    message = json.loads(body)
    assert (url, message["type"], headers["content-type"]) == (URL, "job.completed", "application/json")
    assert message["data"]["job_id"] == job.id
    assert message["data"]["result"] == {"pages": 3}
    assert (message["data"]["state"], message["data"]["metadata"]) == ("COMPLETED", {"doc": "7"})
    assert b"payload" not in body
    assert headers["webhook-timestamp"] == str(clock.now() // 1000)
    assert verified(home, body, headers)


def verified(home: Home, body: bytes, headers: Mapping[str, str], queue: str = "default") -> bool:
    """As a receiver checks it, with nothing but the specification and the secret."""
    key = base64.b64decode(get_secret(home.ports, ADMIN, queue).current.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return wanted in headers["webhook-signature"].split()


def test_a_queue_tells_of_all_its_jobs_and_of_the_events_it_names(home: Home, receiver: Receiver) -> None:
    put_queue(home.ports, ADMIN, "reports", {"webhook": {"url": URL, "events": ["job.created", "job.failed"]}})
    home.submit(queue="reports")
    home.submit(queue="default")
    run_all(home, runner(home, receiver, work=fail))
    assert sorted(json.loads(body)["type"] for _, body, _ in receiver.messages) == ["job.created", "job.failed"]
    failed = next(m for m in map(json.loads, receiver.bodies()) if m["type"] == "job.failed")
    assert (failed["data"]["error_message"], failed["data"]["error_type"]) == ("no such page", "agent")


def test_queue_and_job_with_the_same_address_make_one_message(home: Home, receiver: Receiver) -> None:
    put_queue(home.ports, ADMIN, "reports", {"webhook": HOOK})
    home.submit(queue="reports", webhook=HOOK)
    home.submit(queue="reports", webhook={"url": URL + "/other"})
    run_all(home, runner(home, receiver, work=lambda _: None))
    assert sorted(url for url, *_ in receiver.messages) == [URL, URL, URL + "/other"]


def test_a_job_without_a_webhook_costs_no_job(home: Home) -> None:
    home.submit()
    home.drain(home.runner(work=lambda _: None))
    home.pump()
    assert home.receive() is None


def test_a_message_that_is_not_taken_is_sent_again_with_the_same_id_and_body(home: Home, receiver: Receiver) -> None:
    receiver.statuses = [500, 302, 200]
    home.submit(webhook=HOOK)
    home.settle(runner(home, receiver, work=lambda _: None), seconds=60)
    assert len(receiver.messages) == 3
    assert len({headers["webhook-id"] for *_, headers in receiver.messages}) == 1
    assert len(set(receiver.bodies())) == 1
    times = [int(headers["webhook-timestamp"]) for *_, headers in receiver.messages]
    assert times[1] - times[0] >= 2
    assert times[2] - times[1] >= 4
    assert all(verified(home, body, headers) for _, body, headers in receiver.messages)


def test_a_receiver_that_is_gone_is_left_in_peace(home: Home, receiver: Receiver) -> None:
    receiver.statuses = [410]
    job = home.submit(webhook=HOOK)
    home.settle(runner(home, receiver, work=lambda _: None), seconds=60)
    (delivery,) = deliveries(home.ports, ADMIN, job.id)
    assert (len(receiver.messages), delivery.state) == (1, State.FAILED)


def test_deliveries_are_history_and_can_be_sent_again(home: Home, receiver: Receiver) -> None:
    receiver.statuses = [410, 204]
    job = home.submit(webhook=HOOK)
    worker = runner(home, receiver, work=lambda _: None)
    run_all(home, worker)
    (failed,) = deliveries(home.ports, ADMIN, job.id)
    assert failed.error_message is not None
    assert "410" in failed.error_message
    retry(home.ports, ADMIN, failed.id)
    home.drain(worker)
    (sent,) = deliveries(home.ports, ADMIN, job.id)
    assert (sent.id, sent.state, sent.result) == (failed.id, State.COMPLETED, {"status": 204})


def test_deliveries_belong_to_the_owner_of_the_job(home: Home, receiver: Receiver) -> None:
    ann = Caller("main", "ann", frozenset({"submit", "read"}))
    job = home.submit(caller=ann, webhook=HOOK)
    run_all(home, runner(home, receiver, work=lambda _: None))
    assert len(deliveries(home.ports, ann, job.id)) == 1
    for stranger in (replace(ann, user="bob"), replace(ADMIN, tenant="other")):
        with pytest.raises(NotFound):
            deliveries(home.ports, stranger, job.id)


def test_the_same_batch_of_changes_makes_the_same_deliveries(home: Home) -> None:
    job = home.submit(webhook=HOOK)
    change = change_of(job, State.CREATED, State.ACTIVE)
    hooked = replace(change, webhook={"url": URL, "events": ["job.started"]})
    assert [send_webhooks(home.ports, [hooked]) for _ in range(3)] == [1, 1, 1]
    home.drain(home.runner(work=lambda _: None))
    assert len(deliveries(home.ports, ADMIN, job.id)) == 1


def change_of(job: Job, old: State | None, new: State | None, **values: Any) -> Change:
    given = {"attempt": 1, "at": job.created_at, "queue": job.queue, **values}
    return Change(tenant=job.tenant, job_id=job.id, old_state=old, state=new, **given)


@pytest.mark.parametrize(
    ("old", "new", "queue"),
    [
        (State.ACTIVE, State.ACTIVE, "default"),
        (State.FAILED, None, "default"),
        (None, State.CREATED, WEBHOOK_QUEUE),
        (None, State.CREATED, "a-queue-that-is-gone"),
    ],
    ids=["heartbeat", "erased", "a delivery itself", "unknown queue"],
)
def test_what_is_no_news_is_not_told(home: Home, old: State | None, new: State | None, queue: str) -> None:
    everything = {"url": URL, "events": ["job.created", "job.started", "job.failed"]}
    hook = None if queue.startswith("a-queue") else everything
    assert send_webhooks(home.ports, [change_of(home.submit(), old, new, queue=queue, webhook=hook)]) == 0


def test_more_than_a_hundred_messages_of_one_batch_are_all_sent(home: Home) -> None:
    jobs = [home.submit() for _ in range(130)]
    assert send_webhooks(home.ports, [change_of(job, None, State.FAILED, webhook=HOOK) for job in jobs]) == 130
    assert all(len(deliveries(home.ports, ADMIN, job.id)) == 1 for job in (jobs[0], jobs[-1]))


def test_a_job_that_is_gone_or_has_moved_on_is_told_of_as_far_as_is_known(home: Home, receiver: Receiver) -> None:
    moved = home.submit()
    gone = replace(moved, id="gone")
    send_webhooks(home.ports, [change_of(job, None, State.FAILED, webhook=HOOK) for job in (moved, gone)])
    home.drain(runner(home, receiver, work=lambda _: None))
    told = [json.loads(body)["data"] for body in receiver.bodies()]
    assert {each["job_id"]: each["state"] for each in told} == {moved.id: "FAILED", "gone": "FAILED"}
    assert not any("result" in each or "error_message" in each for each in told)


def test_a_large_result_is_left_out(home: Home, receiver: Receiver) -> None:
    home.submit(webhook=HOOK)
    run_all(home, runner(home, receiver, work=lambda _: "x" * 30_000))
    (message,) = map(json.loads, receiver.bodies())
    assert message["data"]["result_omitted"] is True
    assert "result" not in message["data"]


def test_secrets_are_made_once_kept_apart_and_rotated(home: Home, clock: Clock) -> None:
    home.ports.queues.put_if_unchanged(Queue(tenant="main", name="reports"), None)
    first = get_secret(home.ports, ADMIN, "default")
    assert get_secret(home.ports, ADMIN, "default") == first
    assert get_secret(home.ports, ADMIN, "reports").current != first.current
    assert get_secret(home.ports, replace(ADMIN, tenant="other"), "default").current != first.current
    clock.advance(1)
    second = rotate_secret(home.ports, ADMIN, "default")
    assert (second.previous, second.current == first.current) == (first.current, False)
    assert len(base64.b64decode(first.current.removeprefix("whsec_"))) == 32


def test_secrets_are_for_operators_of_the_queue(home: Home) -> None:
    for act in (get_secret, rotate_secret):
        with pytest.raises(Forbidden):
            act(home.ports, Caller("main", "ann", frozenset({"submit", "read"})), "default")
        with pytest.raises(NotFound):
            act(home.ports, ADMIN, "nothing")


@pytest.mark.parametrize("url", ["http://example.com/", "https://169.254.169.254/", "https://localhost/"])
def test_a_forbidden_address_is_refused_where_it_is_given(home: Home, url: str) -> None:
    with pytest.raises(InvalidInput, match=r"webhook\.url"):
        home.submit(webhook={"url": url})
    with pytest.raises(InvalidInput, match=r"webhook\.url"):
        patch_queue(home.ports, ADMIN, "default", {"webhook": {"url": url}})


def test_nobody_submits_deliveries_or_has_them_told_of(home: Home) -> None:
    with pytest.raises(InvalidInput, match="name"):
        home.submit("tidegate.webhook", data={"url": URL, "queue": "default", "message": {}})
    with pytest.raises(InvalidInput, match="queue"):
        home.submit(queue=WEBHOOK_QUEUE)
    with pytest.raises(InvalidInput, match="webhook"):
        put_queue(home.ports, ADMIN, WEBHOOK_QUEUE, {"webhook": HOOK})


def test_a_receiver_may_be_away_for_most_of_a_day(home: Home, receiver: Receiver, clock: Clock) -> None:
    receiver.statuses = [503] * 14
    job = home.submit(webhook=HOOK)
    started = clock.now()
    home.settle(runner(home, receiver, work=lambda _: None), seconds=100_000, step=60)
    (delivery,) = deliveries(home.ports, ADMIN, job.id)
    assert (delivery.state, len(receiver.messages)) == (State.COMPLETED, 15)
    assert (delivery.completed_at or 0) - started > 11 * 3_600_000
