"""The functions as Lambda runs them, on moto, with each call of theirs to AWS failing in turn: nothing is lost.

Two ways for a call to fail: it is *refused* before it reaches the service (a throttle), or it is *unreported*:
applied, and its answer lost on the way back. What Lambda, SQS and a client do about an error is done here: an
invocation that raised is repeated, tickets not deleted become visible again, a request is sent again with its key.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError  # type: ignore[import-untyped]
from gateway import Api
from tidegate_functions.changes.handler import handler as changes
from tidegate_functions.clock.handler import handler as clock
from tidegate_functions.worker.handler import handler as worker

from support.aws import BUCKET, JOBS, REGISTRY, Cloud
from support.streams import JobsStream
from tidegate import JobContext, executor, runtime
from tidegate.adapters.aws.clients import Clients
from tidegate.domain.errors import Unavailable
from tidegate.domain.job import TERMINAL, Job
from tidegate.domain.priority import Band
from tidegate.local.background import clock_event
from tidegate.ports import JobQuery, Ports
from tidegate.runtime import App
from tidegate.settings import Settings

SERVICES = ("dynamodb", "sqs", "s3")
LARGE = "x" * 150_000
"""More than is kept in the table, so that the bucket has a part."""
ENDED = {state.value for state in TERMINAL}
STEP_SECONDS = 31
"""Beyond the visibility time-out of the tickets."""
ROUNDS = 25
EVERY = int(os.environ.get("TIDEGATE_FAULTS_EVERY", "43"))
"""Of so many calls one is tried; 1 tries them all (`make faults`)."""


class Context:
    """What Lambda tells a function."""

    function_name, aws_request_id = "tidegate", "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """Always plenty."""
        return 60_000


@dataclass
class Fault:
    """The call, by its number from 1, that fails, and how."""

    number: int = 0
    kind: str = ""
    calls: list[str] = field(default_factory=list)
    pending: bool = False

    def strike(self, number: int, kind: str) -> None:
        """From now on this call will fail; none before it, and none after it."""
        self.number, self.kind, self.pending = number, kind, False
        self.calls.clear()

    def attach(self, clients: Clients) -> None:
        """Watch all calls made with `clients`."""
        for service in SERVICES:
            events = getattr(clients, service).meta.events
            events.register_first(f"before-call.{service}", self._before)
            events.register_last(f"after-call.{service}", self._after)

    def _before(self, model: Any, **_: Any) -> Any:
        self.calls.append(model.name)
        if len(self.calls) != self.number:
            return None
        if self.kind == "unreported":
            self.pending = True
            return None
        http = type("Http", (), {"status_code": 400, "headers": {}})()
        error = {"Code": "ThrottlingException", "Message": "slow down"}
        return http, {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}

    def _after(self, **_: Any) -> None:
        if self.pending:
            self.pending = False
            raise ReadTimeoutError(endpoint_url="https://aws")


class Deployment:
    """A deployed stage of which one call will fail."""

    def __init__(self, cloud: Cloud) -> None:
        cloud.reset()
        self.cloud, self.fault, self.ended = cloud, Fault(), Counter[str]()
        sqs = cloud.clients.sqs
        self.urls = {
            pool: {
                band.value: sqs.get_queue_url(QueueName=f"tidegate-{pool}-{band.value}")["QueueUrl"] for band in Band
            }
            for pool in ("default", "gpu")
        }
        self._clients = Clients()
        self.fault.attach(self._clients)
        self._outside = cloud.open(self.urls)
        self.begin()

    def begin(self, number: int = 0, kind: str = "") -> None:
        """Everything is empty again, processes are new, and this call will fail."""
        self.cloud.reset()
        self.fault.strike(number, kind)
        self.ended.clear()
        self._records: list[dict[str, Any]] = []
        self._stream = JobsStream(self.cloud.clients.dynamodb)
        self.ports: Ports = self.cloud.open(self.urls, self._clients)
        self.app = App(self.ports, Settings(jobs_table=JOBS, registry_table=REGISTRY, bucket=BUCKET, pools=self.urls))

    def submit(self, key: str, **body: Any) -> str:
        """Accepted, however often it takes."""
        for _ in range(3):
            answer = Api().post("/jobs", {"retry_delay": 1, **body}, Idempotency_Key=key)
            if answer.status < 300:
                return str(answer.body["job_id"])
            assert answer.status == 503, answer.text
        raise AssertionError("refused three times, though one call fails")

    def work(self) -> None:
        """All tickets in sight go through the worker's function."""
        while records := self._received():
            kept = {record["messageId"] for record in records}
            with suppress(Unavailable):
                answer = worker({"Records": records}, Context())
                kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            for record in records:
                if record["messageId"] not in kept:
                    url = self.urls["default"][record["eventSourceARN"].rpartition("-")[2]]
                    self.cloud.clients.sqs.delete_message(QueueUrl=url, ReceiptHandle=record["receiptHandle"])

    def drop_tickets(self) -> None:
        """Lose whatever the queues hold."""
        for url in self.urls["default"].values():
            self.cloud.clients.sqs.purge_queue(QueueUrl=url)

    def tick(self) -> None:
        """One call of the clock; when it fails, the next comes a minute later."""
        with suppress(Unavailable):
            clock(clock_event(60.0, None), Context())

    def feed(self) -> None:
        """All changes so far go through the change feed's function, again and again until it takes them."""
        self._read_stream()
        while self._records:
            with suppress(Unavailable):
                failed = changes({"Records": self._records}, Context())["batchItemFailures"]
                self._records = self._records if failed else []

    def jobs(self) -> Sequence[Job]:
        """All of them."""
        return self._outside.jobs.page(JobQuery(tenant="main", limit=50)).jobs

    def _received(self) -> list[dict[str, Any]]:
        for band in Band:
            asked = {"QueueUrl": self.urls["default"][band.value], "MaxNumberOfMessages": 10}
            names = ["ApproximateReceiveCount"]
            found = self.cloud.clients.sqs.receive_message(**asked, MessageSystemAttributeNames=names).get("Messages")
            if found:
                arn = f"arn:aws:sqs:eu-west-1:123456789012:tidegate-default-{band.value}"
                return [_record(message, arn) for message in found]
        return []

    def _read_stream(self) -> None:
        records = self._stream.records()
        self._records += records
        self.ended.update(_ended(record["dynamodb"]) for record in records)
        self.ended.pop("", None)


def _ended(change: dict[str, Any]) -> str:
    """The id of the job that ended by this change, or nothing."""
    before, after = (change.get(image, {}).get("state", {}).get("S") for image in ("OldImage", "NewImage"))
    ended = after in ENDED and before not in ENDED
    return str(change["NewImage"]["id"]["S"]) if ended else ""


def _record(message: dict[str, Any], arn: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": "eu-west-1",
    }


def _work(job: JobContext) -> dict[str, int]:
    return {"letters": len((job.data or {}).get("text", ""))}


def _stumble(job: JobContext) -> str:
    if job.attempt == 1:
        raise ValueError("the first time it fails")
    return "at last"


def _fail(_job: JobContext) -> None:
    raise ValueError("never")


ENDS = {
    "plain": "COMPLETED",
    "stumbling": "COMPLETED",
    "large": "COMPLETED",
    "once": "COMPLETED",  # its only attempt is not used up by a call that fails
    "lost": "COMPLETED",
    "doomed": "FAILED",
}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.adapters.aws.tables.time", SimpleNamespace(sleep=lambda _seconds: None))


@pytest.fixture
def stage(aws: Cloud) -> Deployment:
    """A stage whose functions serve three handlers."""
    for name, handler in (("work", _work), ("stumble", _stumble), ("fail", _fail)):
        executor(name)(handler)
    return Deployment(aws)


def live_through(stage: Deployment) -> dict[str, str]:
    """A few jobs, from submission until they ended and all is told; answers their ids."""
    with runtime.use(stage.app):
        return _live_through(stage)


def _live_through(stage: Deployment) -> dict[str, str]:
    large = {"text": LARGE}
    ids = {
        "plain": stage.submit("a", name="work"),
        "stumbling": stage.submit("b", name="stumble"),
        "large": stage.submit("c", name="work", data=large),
        "once": stage.submit("f", name="work", data=large, retry_limit=0),
        "doomed": stage.submit("d", name="fail", retry_limit=0, priority="high"),
    }
    stage.work()
    stage.feed()
    ids["lost"] = stage.submit("e", name="work", priority="critical")
    stage.drop_tickets()
    for _ in range(ROUNDS):
        stage.cloud.clock.advance(STEP_SECONDS)
        stage.tick()
        stage.work()
        stage.feed()
        if all(job.state in TERMINAL for job in stage.jobs()):
            break
    return ids


def check(stage: Deployment, ids: dict[str, str]) -> None:
    """Every accepted job ended as it should, once, and the counters are what a recount gives."""
    states = {job.id: job.state.value for job in stage.jobs()}
    assert {name: states.get(job_id) for name, job_id in ids.items()} == ENDS
    assert len(states) == len(ids), "a request that was sent again made a second job"
    assert stage.ended == dict.fromkeys(ids.values(), 1)
    counted = {state: n for state, n in stage.ports.figures.read("main", "states").items() if n}
    assert counted == Counter(states.values())


def test_without_a_fault_all_goes_well(stage: Deployment) -> None:
    check(stage, live_through(stage))
    assert {"PutItem", "UpdateItem", "Query", "SendMessageBatch", "PutObject"} <= set(stage.fault.calls)


@pytest.mark.parametrize("kind", ["refused", "unreported"])
def test_whichever_call_to_aws_fails_nothing_is_lost(stage: Deployment, kind: str) -> None:
    live_through(stage)
    calls = len(stage.fault.calls)
    broken = [told for number in range(1, calls + 1, EVERY) if (told := what_breaks(stage, number, kind))]
    assert broken == [], f"{len(broken)} of {len(range(0, calls, EVERY))} calls did harm"


def what_breaks(stage: Deployment, number: int, kind: str) -> str:
    """What the fault did to the books, if anything."""
    stage.begin(number, kind)
    ids = live_through(stage)
    assert len(stage.fault.calls) >= number
    try:
        check(stage, ids)
    except AssertionError as error:
        return f"call {number}, {stage.fault.calls[number - 1]}, {kind}: {error}"
    return ""
