"""Webhooks over HTTP, with the client, on the command line, and made by the change feed's function."""

from __future__ import annotations

import json

import pytest
from bridge import client_of
from commands import Run
from gateway import Api
from tidegate_functions.changes.handler import handler as changes

from home import Home
from support.webhooks import Receiver
from tidegate import runtime
from tidegate.domain.errors import InvalidInput, Unavailable
from tidegate.execution.registry import Executor
from tidegate.execution.runner import Runner
from tidegate.execution.webhook import webhook_executor

HOOK = {"url": "https://hooks.example.com/in", "events": ["job.completed"]}


def settle(home: Home, *statuses: int) -> Receiver:
    """Run all jobs, and all deliveries to a receiver that answers so."""
    receiver = Receiver()
    receiver.statuses = list(statuses)
    own = webhook_executor(home.ports, receiver.post)
    executors = {"work": Executor("work", lambda _: None), own.name: own}
    runner = Runner(home.ports, executors, worker_id="w", lease_seconds=10)
    for _ in range(2):
        home.drain(runner)
        home.pump()
    return receiver


def test_a_queue_has_a_webhook_until_it_is_taken_away(operator: Api) -> None:
    assert operator.call("PUT", "/queues/reports", json.dumps({"webhook": HOOK})).body["queue"]["webhook"] == HOOK
    patched = operator.call("PATCH", "/queues/reports", json.dumps({"timeout": 9})).body["queue"]
    assert (patched["webhook"], patched["timeout"]) == (HOOK, 9)
    assert operator.call("PATCH", "/queues/reports", json.dumps({"webhook": None})).body["queue"]["webhook"] is None


def test_the_messages_about_a_job_are_told(operator: Api, home: Home) -> None:
    job_id = operator.submit(webhook=HOOK).body["job_id"]
    assert operator.get(f"/jobs/{job_id}").body["job"]["webhook"] == HOOK
    assert operator.get(f"/jobs/{job_id}/webhooks").body["deliveries"] == []
    receiver = settle(home, 204)
    (delivery,) = operator.get(f"/jobs/{job_id}/webhooks").body["deliveries"]
    assert delivery == {
        "id": receiver.messages[0][2]["webhook-id"],
        "event": "job.completed",
        "url": HOOK["url"],
        "state": "COMPLETED",
        "status": "completed",
        "attempt": 1,
        "response_status": 204,
        "error_message": None,
        "created_at": "2033-05-18T08:00:00.000Z",
        "completed_at": "2033-05-18T08:00:00.000Z",
        "next_attempt_at": None,
    }
    assert operator.get("/jobs/nothing/webhooks").status == 404
    assert operator.by(tenant="other").get(f"/jobs/{job_id}/webhooks").status == 404


def test_a_message_that_was_not_taken_says_why_and_when_it_comes_again(operator: Api, home: Home) -> None:
    job_id = operator.submit(webhook=HOOK).body["job_id"]
    settle(home, 500)
    (delivery,) = operator.get(f"/jobs/{job_id}/webhooks").body["deliveries"]
    assert (delivery["state"], delivery["response_status"]) == ("RETRY", None)
    assert delivery["error_message"] == "NotAccepted: the receiver answered 500"
    assert delivery["next_attempt_at"] > "2033-05-18T08:00:02"


@pytest.mark.parametrize(
    "webhook",
    [
        {"url": "http://example.com/"},
        {"url": "https://127.1/"},
        {"url": "https://[::ffff:10.0.0.1]/"},
        {"url": "https://example.com/", "events": ["job.exploded"]},
        {"url": "https://example.com/", "events": []},
        {"url": "https://example.com/", "secret": "mine"},
        {},
        "https://example.com/",
    ],
)
def test_a_wrong_webhook_is_refused_by_its_path(operator: Api, webhook: object) -> None:
    answers = [
        operator.submit(webhook=webhook),
        operator.call("PUT", "/queues/reports", json.dumps({"webhook": webhook})),
    ]
    for answer in answers:
        assert answer.status == 422
        assert answer.body["details"]["errors"][0]["field"].startswith("webhook")


def test_secrets_are_read_and_rotated_by_operators(api: Api, operator: Api) -> None:
    path = "/queues/default/webhook-secret"
    first = operator.get(path).body
    assert first["secret"].startswith("whsec_")
    assert (first["queue"], first["previous"]) == ("default", None)
    second = operator.post(f"{path}/rotate").body
    assert (second["previous"], operator.get(path).body["secret"]) == (first["secret"], second["secret"])
    assert operator.get("/queues/nothing/webhook-secret").status == 404
    assert api.get(path).status == api.post(f"{path}/rotate").status == 403
    assert operator.by(tenant="other").get(path).body["secret"] != second["secret"]


def test_nobody_else_submits_deliveries(operator: Api) -> None:
    for body in ({"name": "tidegate.webhook"}, {"name": "work", "queue": "tidegate-webhooks"}):
        answer = operator.post("/jobs", body)
        assert (answer.status, answer.body["code"]) == (422, "INVALID_INPUT")


def test_the_client_and_the_command_line_tell_the_same(operator: Api, home: Home, run: Run) -> None:
    with client_of(operator) as client:
        job = client.submit("work", webhook=HOOK)
        settle(home)
        (delivery,) = client.deliveries(job.id)
        assert (delivery.event, delivery.response_status, delivery.status) == ("job.completed", 200, "completed")
        assert client.webhook_secret("default").secret == run("webhook", "secret", "default")[1].strip()
        rotated = client.rotate_webhook_secret("default")
        assert rotated.previous is not None
        assert rotated.secret not in repr(rotated)
    _, out, _ = run("webhook", "list", job.id)
    assert out.splitlines()[1].split()[:4] == [delivery.id, "job.completed", "completed", "1"]
    assert json.loads(run("webhook", "list", job.id[:20], "--json")[1])["deliveries"][0]["id"] == delivery.id
    code, out, _ = run("webhook", "secret", "default", "--rotate", "--json")
    assert (code, json.loads(out)["previous"]) == (0, rotated.secret)


def test_submit_takes_an_address_on_the_command_line(operator: Api, run: Run) -> None:
    code, out, _ = run("submit", "work", "--webhook", "https://example.com/hook", "--json")
    assert (code, json.loads(out)["webhook"]["url"]) == (0, "https://example.com/hook")
    code, _, err = run("submit", "work", "--webhook", "http://example.com/hook")
    assert code == 2
    assert "webhook.url" in err
    code, out, _ = run("queue", "set", "default", f"webhook={json.dumps(HOOK)}", "--json")
    assert (code, json.loads(out)["webhook"]) == (0, HOOK)


def test_a_batch_of_changes_comes_again_when_its_deliveries_cannot_be_stored(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.submit(webhook={"url": HOOK["url"], "events": ["job.created"]})
    assert home.app.feed is not None
    records = list(home.app.feed.read(10))

    def refuse(*_: object) -> None:
        raise Unavailable

    with runtime.use(home.app), monkeypatch.context() as patched:
        patched.setattr("tidegate_functions.changes.handler.send_webhooks", refuse)
        assert changes({"Records": records}, None)["batchItemFailures"] == [{"itemIdentifier": "1"}]
    with runtime.use(home.app):
        assert changes({"Records": records}, None) == {"batchItemFailures": []}
    assert home.ports.figures.read("main", "states") == {"CREATED": 1}
    assert home.job(str(next(iter(deliveries_of(home))))).state == "CREATED"


def deliveries_of(home: Home) -> list[str]:
    from tidegate.ports import JobQuery

    page = home.ports.jobs.page(JobQuery(tenant="main", queue="tidegate-webhooks"))
    return [job.id for job in page.jobs]


def test_a_client_is_told_of_a_wrong_address(operator: Api) -> None:
    with client_of(operator) as client, pytest.raises(InvalidInput, match=r"webhook\.url"):
        client.submit("work", webhook={"url": "https://localhost/"})
