"""The AWS adapters when requests fail, are repeated, or are answered in part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import (  # type: ignore[import-untyped]
    ClientError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from support.aws import Cloud
from support.clock import START_MS
from support.jobs import make_job
from tidegate.domain import guarded
from tidegate.domain.errors import Unavailable
from tidegate.domain.guard import Guard, GuardedWrite, Lease, Outcome
from tidegate.domain.job import ErrorType, Job, Progress, State
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane, Ticket
from tidegate.ports import Addition, JobKey, JobQuery, Ports, Timer, Token

LANE = Lane("acme", "mail")
ALL = frozenset(State)
ACTIVE: Mapping[str, Any] = {"state": State.ACTIVE, "attempt": 1, "worker_id": "w1", "lease_until": START_MS + 60_000}


@contextmanager
def hook(client: Any, event: str, handler: Callable[..., Any]) -> Iterator[None]:
    client.meta.events.register_first(event, handler)
    try:
        yield
    finally:
        client.meta.events.unregister(event, handler)


@contextmanager
def repeated(client: Any, operation: str, between: Callable[[], object] = lambda: None) -> Iterator[None]:
    """The first answer to each call is lost on its way back, so botocore sends the request again."""
    service = client.meta.service_model.service_name

    def lose(attempts: int, **_: Any) -> float | None:
        if attempts > 1:
            return None
        between()
        return 0.0

    with hook(client, f"needs-retry.{service}.{operation}", lose):
        yield


@contextmanager
def refused(client: Any, code: str, status: int = 400, *, times: int = 10**6) -> Iterator[list[str]]:
    """Calls are answered with an error before they reach the service."""
    seen: list[str] = []
    service = client.meta.service_model.service_name

    def refuse(model: Any, **_: Any) -> Any:
        seen.append(model.name)
        if len(seen) > times:
            return None
        http = type("Http", (), {"status_code": status, "headers": {}})()
        return http, {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}

    with hook(client, f"before-call.{service}", refuse):
        yield seen


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.adapters.aws.tables.time", SimpleNamespace(sleep=lambda _seconds: None))


CALLS: dict[str, tuple[str, Callable[[Ports], object]]] = {
    "create one": ("dynamodb", lambda p: p.jobs.create([make_job(p.new_id())])),
    "create several": ("dynamodb", lambda p: p.jobs.create([make_job(p.new_id()) for _ in range(3)])),
    "create named": ("dynamodb", lambda p: p.jobs.create([make_job("a")])),
    "get": ("dynamodb", lambda p: p.jobs.get([JobKey("acme", p.new_id())])),
    "get several": ("dynamodb", lambda p: p.jobs.get([JobKey("acme", p.new_id()) for _ in range(3)])),
    "get named": ("dynamodb", lambda p: p.jobs.get([JobKey("acme", "a")])),
    "apply": ("dynamodb", lambda p: p.jobs.apply([GuardedWrite("acme", p.new_id(), Guard(ALL), {"reason": "x"})])),
    "head": ("dynamodb", lambda p: p.jobs.head(LANE, 1)),
    "due": ("dynamodb", lambda p: p.jobs.due(START_MS, 1)),
    "page": ("dynamodb", lambda p: p.jobs.page(JobQuery(tenant="acme"))),
    "erase": ("dynamodb", lambda p: p.jobs.erase_if_ended(JobKey("acme", p.new_id()))),
    "send": ("sqs", lambda p: p.tickets.send([(Ticket("acme", "mail", "j", "default", 5, 1), 0)])),
    "receive": ("sqs", lambda p: p.tickets.receive("default", 1, 0)),
    "depth": ("sqs", lambda p: p.tickets.depth("default")),
    "put blob": ("s3", lambda p: p.blobs.put("k", b"")),
    "get blob": ("s3", lambda p: p.blobs.get("k")),
    "delete blob": ("s3", lambda p: p.blobs.delete("k")),
    "get queue": ("dynamodb", lambda p: p.queues.get("acme", "mail")),
    "list queues": ("dynamodb", lambda p: p.queues.list("acme")),
    "put queue": ("dynamodb", lambda p: p.queues.put_if_unchanged(Queue(tenant="acme", name="mail"), None)),
    "touch": ("dynamodb", lambda p: p.lanes.touch(LANE, START_MS)),
    "lanes": ("dynamodb", lambda p: p.lanes.all()),
    "drop": ("dynamodb", lambda p: p.lanes.drop_if_untouched(LANE, 0)),
    "set timers": ("dynamodb", lambda p: p.timers.set([Timer(1, "acme", "j", 1)])),
    "due timers": ("dynamodb", lambda p: p.timers.due(1, 1)),
    "clear timers": ("dynamodb", lambda p: p.timers.clear([Timer(1, "acme", "j", 1)])),
    "add figures": ("dynamodb", lambda p: p.figures.add_once("b", [Addition("acme", "s", {"a": 1})])),
    "read figures": ("dynamodb", lambda p: p.figures.read("acme", "s")),
    "get token": ("dynamodb", lambda p: p.tokens.get("t")),
    "note use": ("dynamodb", lambda p: p.tokens.note_use("t", START_MS)),
    "list tokens": ("dynamodb", lambda p: p.tokens.list("acme")),
    "put token": (
        "dynamodb",
        lambda p: p.tokens.put(
            Token(id="t", secret_hash="", tenant="acme", user="u", scopes=frozenset(), created_at=1)
        ),
    ),
}
EVERY_CALL = pytest.mark.parametrize(("service", "call"), CALLS.values(), ids=CALLS.keys())


@EVERY_CALL
@pytest.mark.parametrize(
    ("code", "status"),
    [("ThrottlingException", 400), ("ProvisionedThroughputExceededException", 400), ("Whatever", 503)],
)
def test_a_service_that_is_busy_is_unavailable(
    aws: Cloud, aws_ports: Ports, service: str, call: Callable[[Ports], object], code: str, status: int
) -> None:
    with refused(getattr(aws.clients, service), code, status), pytest.raises(Unavailable):
        call(aws_ports)


@EVERY_CALL
def test_a_fault_of_ours_is_not_taken_for_a_busy_service(
    aws: Cloud, aws_ports: Ports, service: str, call: Callable[[Ports], object]
) -> None:
    with refused(getattr(aws.clients, service), "ValidationException"), pytest.raises(ClientError):
        call(aws_ports)


@EVERY_CALL
@pytest.mark.parametrize("error", [ReadTimeoutError, EndpointConnectionError])
def test_a_lost_connection_is_unavailable(
    aws: Cloud, aws_ports: Ports, service: str, call: Callable[[Ports], object], error: Callable[..., Exception]
) -> None:
    def fail(**_: Any) -> None:
        raise error(endpoint_url="https://aws")

    with hook(getattr(aws.clients, service), f"after-call.{service}", fail), pytest.raises(Unavailable):
        call(aws_ports)


class TestRepeatedWrites:
    """botocore repeats a request whose answer got lost: the write's own maker must hear that it was applied."""

    def applied(self, aws: Cloud, ports: Ports, job: Job, write: GuardedWrite) -> Job:
        ports.jobs.create([job])
        with repeated(aws.clients.dynamodb, "UpdateItem"):
            outcome = ports.jobs.apply([write])[0]
        assert outcome.applied
        assert outcome.job == ports.jobs.get([JobKey("acme", job.id)])[0]
        assert outcome.job is not None
        return outcome.job

    def test_a_claim_is_applied_once(self, aws: Cloud, aws_ports: Ports) -> None:
        job = make_job(aws.clock.new_id())
        claim = guarded.claim_if_ready(LANE, job.id, Lease("w1", START_MS + 9), START_MS)
        assert self.applied(aws, aws_ports, job, claim).attempt == 1

    def test_a_claim_of_a_named_job_is_applied_once(self, aws: Cloud, aws_ports: Ports) -> None:
        claim = guarded.claim_if_ready(LANE, "named", Lease("w1", START_MS + 9), START_MS)
        assert self.applied(aws, aws_ports, make_job("named"), claim).attempt == 1

    def test_a_reclaim_is_applied_once(self, aws: Cloud, aws_ports: Ports) -> None:
        job = make_job(aws.clock.new_id(), **ACTIVE)
        write = guarded.reclaim_if_lapsed(job, Lease("w2", START_MS * 2), START_MS + 60_000)
        assert self.applied(aws, aws_ports, job, write).attempt == 2

    @pytest.mark.parametrize("kind", ["complete", "skip", "retry", "fail", "cancel", "snooze", "extend", "ask"])
    def test_a_settlement_is_applied_once(self, aws: Cloud, aws_ports: Ports, kind: str) -> None:
        job, now = make_job(aws.clock.new_id(), **ACTIVE), START_MS + 5
        failure = guarded.failure_of(job, ErrorType.AGENT, "ouch", now)
        writes = {
            "complete": guarded.complete_if_held(job, {"a": [1.5, None]}, None, now),
            "skip": guarded.skip_if_held(job, "empty", now),
            "retry": guarded.retry_if_held(job, failure, now + 9, now, ticketed=True),
            "fail": guarded.fail_if_held(job, failure, now),
            "cancel": guarded.cancel_if_held(job, now),
            "snooze": guarded.snooze_if_held(job, now + 9, now, ticketed=False),
            "extend": guarded.extend_if_held(job, now + 9, now, Progress(1 / 3, "")),
            "ask": guarded.request_cancel_if_active(job, "enough", now),
        }
        assert self.applied(aws, aws_ports, job, writes[kind]).attempt == 1

    def test_a_claim_that_another_worker_won_in_between_is_refused(self, aws: Cloud, aws_ports: Ports) -> None:
        job = make_job(aws.clock.new_id(), **ACTIVE)
        aws_ports.jobs.create([job])
        mine = guarded.complete_if_held(job, "mine", None, START_MS)
        done: list[bool] = []

        def restart() -> None:
            write = GuardedWrite("acme", job.id, Guard(ALL), {"reason": "changed", "updated_at": START_MS + 1})
            if not done:
                done.append(True)
                done.append(aws_ports.jobs.apply([write])[0].applied)

        with repeated(aws.clients.dynamodb, "UpdateItem", restart):
            outcome = aws_ports.jobs.apply([mine])[0]
        assert done == [True, True]
        assert not outcome.applied
        assert outcome.job is not None
        assert outcome.job.reason == "changed"

    def test_a_refusal_that_was_repeated_stays_one(self, aws: Cloud, aws_ports: Ports) -> None:
        job = make_job(aws.clock.new_id(), **{**ACTIVE, "worker_id": "other"})
        aws_ports.jobs.create([job])
        claim = guarded.claim_if_ready(LANE, job.id, Lease("w1", START_MS + 60_000), START_MS)
        with repeated(aws.clients.dynamodb, "UpdateItem"):
            outcome = aws_ports.jobs.apply([claim])[0]
        assert outcome == Outcome(False, job)

    def test_a_promotion_does_not_pass_for_the_claim_that_beat_it(self, aws: Cloud, aws_ports: Ports) -> None:
        waiting = make_job(aws.clock.new_id(), wake_at=START_MS)
        claimed = replace(waiting, **ACTIVE, wake_at=None, updated_at=START_MS)
        aws_ports.jobs.create([claimed])
        with repeated(aws.clients.dynamodb, "UpdateItem"):
            outcome = aws_ports.jobs.apply([guarded.promote_if_due(waiting, START_MS)])[0]
        assert outcome == Outcome(False, claimed)

    @pytest.mark.parametrize("operation", ["PutItem", "BatchExecuteStatement"])
    def test_a_repeated_creation_is_one_creation(self, aws: Cloud, aws_ports: Ports, operation: str) -> None:
        jobs = [make_job(aws.clock.new_id()) for _ in range(1 if operation == "PutItem" else 3)]
        with repeated(aws.clients.dynamodb, operation):
            assert list(aws_ports.jobs.create(jobs)) == [None] * len(jobs)
        assert list(aws_ports.jobs.get([JobKey("acme", job.id) for job in jobs])) == jobs

    @pytest.mark.parametrize("count", [1, 3])
    def test_a_repeated_creation_never_overwrites_a_claim(self, aws: Cloud, aws_ports: Ports, count: int) -> None:
        jobs = [make_job(aws.clock.new_id()) for _ in range(count)]
        claims = [guarded.claim_if_ready(LANE, job.id, Lease("w", START_MS + 9), START_MS) for job in jobs]
        operation = "PutItem" if count == 1 else "BatchExecuteStatement"
        with repeated(aws.clients.dynamodb, operation, lambda: aws_ports.jobs.apply(claims)):
            aws_ports.jobs.create(jobs)
        for job in aws_ports.jobs.get([JobKey("acme", job.id) for job in jobs]):
            assert job is not None
            assert (job.state, job.attempt) == (State.ACTIVE, 1)

    def test_a_repeated_policy_change_is_one(self, aws: Cloud, aws_ports: Ports) -> None:
        old, new = Queue(tenant="acme", name="mail"), Queue(tenant="acme", name="mail", paused=True)
        with repeated(aws.clients.dynamodb, "PutItem"):
            assert aws_ports.queues.put_if_unchanged(old, None)
            assert aws_ports.queues.put_if_unchanged(new, old)
            assert not aws_ports.queues.put_if_unchanged(old, None)

    def test_a_repeated_erasure_is_one(self, aws: Cloud, aws_ports: Ports) -> None:
        job = make_job(aws.clock.new_id(), state=State.FAILED)
        aws_ports.jobs.create([job])
        with repeated(aws.clients.dynamodb, "DeleteItem"):
            assert aws_ports.jobs.erase_if_ended(JobKey("acme", job.id))


class TestPartsLeftUndone:
    """Batches are answered in part when a partition is busy: what is left is sent again."""

    def test_unprocessed_writes_are_sent_again(self, aws: Cloud, aws_ports: Ports) -> None:
        timers = [Timer(number, "acme", f"j{number}", 1) for number in range(10)]
        with answered_in_part(aws, "BatchWriteItem", "UnprocessedItems") as calls:
            aws_ports.timers.set(timers)
        assert len(calls) > 1
        assert list(aws_ports.timers.due(100, 100)) == timers

    def test_unprocessed_keys_are_asked_for_again(self, aws: Cloud, aws_ports: Ports) -> None:
        jobs = [make_job(aws.clock.new_id()) for _ in range(10)]
        aws_ports.jobs.create(jobs)
        with answered_in_part(aws, "BatchGetItem", "UnprocessedKeys") as calls:
            assert list(aws_ports.jobs.get([JobKey("acme", job.id) for job in jobs])) == jobs
        assert len(calls) > 1

    def test_parts_that_stay_undone_are_unavailable(self, aws: Cloud, aws_ports: Ports) -> None:
        answer: dict[str, Any] = {"UnprocessedItems": {"tidegate-registry": [{"PutRequest": {"Item": {}}}]}}
        with answered_with(aws.clients.dynamodb, "BatchWriteItem", answer) as calls, pytest.raises(Unavailable):
            aws_ports.timers.set([Timer(1, "acme", "j", 1)])
        assert len(calls) == 6

    def test_a_statement_that_failed_alone_is_put_alone(self, aws: Cloud, aws_ports: Ports) -> None:
        jobs = [make_job(aws.clock.new_id()) for _ in range(2)]
        codes = ("InternalServerError", "ThrottlingError")
        answer = {"Responses": [{"Error": {"Code": code}} for code in codes]}
        with answered_with(aws.clients.dynamodb, "BatchExecuteStatement", answer):
            assert list(aws_ports.jobs.create(jobs)) == [None, None]
        assert list(aws_ports.jobs.get([JobKey("acme", job.id) for job in jobs])) == jobs

    def test_tickets_that_sqs_left_out_are_sent_again(self, aws: Cloud, aws_ports: Ports) -> None:
        ticket = Ticket("acme", "mail", "j", "default", 5, 1)
        answer: dict[str, Any] = {
            "Successful": [],
            "Failed": [{"Id": "0", "SenderFault": False, "Code": "InternalError"}],
        }
        with answered_with(aws.clients.sqs, "SendMessageBatch", answer, times=2) as calls:
            aws_ports.tickets.send([(ticket, 0)])
        assert len(calls) == 3
        assert len(aws_ports.tickets.receive("default", 10, 0)) == 1

    def test_a_ticket_that_sqs_will_never_take_is_an_error(self, aws: Cloud, aws_ports: Ports) -> None:
        answer = {"Failed": [{"Id": "0", "SenderFault": True, "Code": "InvalidParameterValue", "Message": "no"}]}
        with answered_with(aws.clients.sqs, "SendMessageBatch", answer), pytest.raises(ValueError, match="refused"):
            aws_ports.tickets.send([(Ticket("acme", "mail", "j", "default", 5, 1), 0)])

    def test_a_transaction_that_met_another_is_done_again(self, aws: Cloud, aws_ports: Ports) -> None:
        conflict = {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]}
        with answered_with(aws.clients.dynamodb, "TransactWriteItems", conflict, times=2, error="TransactionCanceled"):
            assert aws_ports.jobs.create([make_job("named")]) == [None]
        assert aws_ports.jobs.get([JobKey("acme", "named")])[0] == make_job("named")


@contextmanager
def answered_with(
    client: Any, operation: str, answer: dict[str, Any], *, times: int = 10**6, error: str = ""
) -> Iterator[list[object]]:
    """The first calls of an operation are answered without reaching the service."""
    calls: list[object] = []
    service = client.meta.service_model.service_name

    def reply(**_: Any) -> Any:
        calls.append(None)
        if len(calls) > times:
            return None
        http = type("Http", (), {"status_code": 400 if error else 200, "headers": {}})()
        fault = {"Error": {"Code": f"{error}Exception", "Message": ""}} if error else {}
        return http, {**answer, **fault, "ResponseMetadata": {"HTTPStatusCode": 400 if error else 200}}

    with hook(client, f"before-call.{service}.{operation}", reply):
        yield calls


@contextmanager
def answered_in_part(aws: Cloud, operation: str, undone: str) -> Iterator[list[object]]:
    """Only the first three parts of each request are done."""
    client = aws.clients.dynamodb
    calls: list[object] = []

    def cut(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        ((table, parts),) = params["RequestItems"].items()
        keys = parts["Keys"] if undone == "UnprocessedKeys" else parts
        rest = keys[3:]
        del keys[3:]
        context["rest"] = {table: {**parts, "Keys": rest} if undone == "UnprocessedKeys" else rest} if rest else {}
        calls.append(None)

    def tell(parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        parsed[undone] = context["rest"]

    with (
        hook(client, f"provide-client-params.dynamodb.{operation}", _copied),
        hook(client, f"before-parameter-build.dynamodb.{operation}", cut),
        hook(client, f"after-call.dynamodb.{operation}", tell),
    ):
        yield calls


def _copied(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The caller's own lists must not be cut."""
    ((table, parts),) = params["RequestItems"].items()
    copy = {**parts, "Keys": list(parts["Keys"])} if isinstance(parts, dict) else list(parts)
    return {**params, "RequestItems": {table: copy}}
