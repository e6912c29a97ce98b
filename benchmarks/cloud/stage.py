"""A deployment to count in: the functions as they are deployed, on moto, their clients watched."""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import moto.backends
from tidegate_functions.api.handler import handler as api
from tidegate_functions.changes.handler import handler as changes
from tidegate_functions.clock.handler import handler as clock
from tidegate_functions.dag.handler import handler as dag
from tidegate_functions.worker.handler import handler as worker

from support.aws import BUCKET, JOBS, POOLS, REGISTRY, Cloud, clients_of
from tidegate import runtime
from tidegate.adapters.aws.ports import open_ports
from tidegate.domain.priority import Band
from tidegate.local.background import clock_event
from tidegate.local.http import event_of
from tidegate.ports import Delivery
from tidegate.runtime import CLOUD_HEAD_MS, App
from tidegate.settings import Settings

from .meter import Index, Item
from .watch import Tally, Watch

ACCOUNT = "123456789012"
BATCH = 10
"""Tickets that Lambda hands to a worker at once."""
_RUNTIME_FIELDS = {"timestamp": "2026-01-31T12:00:00Z", "requestId": "8f507cfc-xmpl-4697-b07a-ac58fc914c95"}
"""What the Lambda runtime adds to each line, which it writes as JSON."""
_OF_EVERY_RECORD = frozenset(logging.makeLogRecord({}).__dict__)
_POLICY_SECONDS = 5.0
_CALLER = {"tenant": "main", "user": "ada", "scopes": "submit read operate"}
_ENVIRONMENT = {
    "TIDEGATE_POOL": "default",
    "TIDEGATE_HANDLERS": str(Path(__file__).with_name("handlers.py")),
    "POWERTOOLS_SERVICE_NAME": "tidegate",
}


@dataclass(slots=True)
class Counted:
    """One step of a flow: what it asked AWS for, how many functions ran, and what they logged."""

    tally: Tally
    log_bytes: int


class LambdaContext:
    """What the handlers ask of Lambda."""

    aws_request_id = "00000000-0000-0000-0000-000000000000"
    function_name = "tidegate-bench"

    def get_remaining_time_in_millis(self) -> int:
        """Always plenty."""
        return 60_000


class Stage:
    """Fresh tables and queues, and a process of each function that has run before."""

    def __init__(self, cloud: Cloud, dynamodb: str = "") -> None:
        """`dynamodb` is the endpoint of DynamoDB Local; without it moto has the tables."""
        self.cloud = cloud
        cloud.reset(dynamodb)
        self._clients = clients_of(dynamodb)
        look = partial(_asked_for, cloud.clients.dynamodb) if dynamodb else _item
        self._watch = Watch(look, {table: _indexes(cloud, table) for table in (JOBS, REGISTRY)})
        clients = (self._clients.dynamodb, self._clients.sqs, self._clients.s3, self._clients.stepfunctions)
        self._watch.attach(*clients)
        self._pace = 0.0
        for client in clients:
            client.meta.events.register("after-call", self._pass)
        self._machine = _state_machine(cloud)
        self._numbers = itertools.count()
        self.urls = {pool: {band.value: self._url(f"tidegate-{pool}-{band.value}") for band in Band} for pool in POOLS}
        self.app = self._new_app()

    def fresh_process(self) -> None:
        """From now on everything runs in a process that remembers nothing."""
        self.app = self._new_app()

    @contextmanager
    def counting(self) -> Iterator[Counted]:
        """Count what happens inside."""
        self._watch.take()
        counted, output = Counted(Tally(), 0), StringIO()
        lines = _Lines(level=logging.INFO)
        logger = logging.getLogger("tidegate")
        level, propagate = logger.level, logger.propagate
        logger.addHandler(lines)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        try:
            with redirect_stdout(output):
                yield counted
        finally:
            logger.removeHandler(lines)
            logger.setLevel(level)
            logger.propagate = propagate
        counted.tally = self._watch.take()
        counted.log_bytes = lines.bytes + len(output.getvalue().encode())

    @contextmanager
    def paced(self, request_ms: float) -> Iterator[None]:
        """Let every request take so long inside; else time stands still but for what `Cloud.clock` is told."""
        self._pace = request_ms
        try:
            yield
        finally:
            self._pace = 0.0

    def post(self, path: str, body: Any) -> Mapping[str, Any]:
        """A request to the API's function; raises AssertionError unless it succeeds."""
        return self._call("POST", path, body)

    def get(self, path: str, query: str = "") -> Mapping[str, Any]:
        """See `post`."""
        return self._call("GET", path, None, query)

    def limit(self, queue: str, **settings: int) -> None:
        """Make a queue with limits."""
        self._call("PUT", f"/queues/{queue}", settings)

    def work(self) -> int:
        """One batch of tickets through the worker's function, as Lambda's event source mapping would hand it over.

        Answers how many tickets it held. Receiving and deleting them is Lambda's doing, and not counted here.
        """
        records = self._receive()
        if records:
            with patch.dict(os.environ, _ENVIRONMENT), runtime.use(self.app):
                answer = worker({"Records": records}, LambdaContext())
            kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            self._delete([record for record in records if record["messageId"] not in kept])
        return len(records)

    def let_heads_age(self) -> None:
        """Let so much time pass that workers ask for the heads of lanes again."""
        self.cloud.clock.advance(CLOUD_HEAD_MS / 1000)

    def drop_tickets(self) -> None:
        """Take all tickets that can be seen out of the queues, for jobs that nobody is to run."""
        while records := self._receive():
            self._delete(records)

    def warm_policies(self) -> None:
        """Read the policies of the tenant and its default queue anew, as some job before would have done."""
        self.app.ports.queues.get("main", "default")
        self.app.ports.tenants.get("main")

    def forget_lanes(self) -> None:
        """Let so much time pass that nothing is left to look at."""
        self.cloud.clock.advance(4 * 3600)
        with self.counting():
            self.tick()

    def tick(self) -> None:
        """One minute's call of the clock."""
        with patch.dict(os.environ, _ENVIRONMENT), runtime.use(self.app):
            now = datetime.fromtimestamp(self.cloud.clock.now() / 1000, UTC)
            clock({**clock_event(60.0, None), "time": now.isoformat()}, LambdaContext())

    def supervise(self, task: str, dag_id: str) -> None:
        """One task of a run's supervisor, as the state machine would ask for it."""
        watched = {"tenant": "main", "dag_id": dag_id, "resumed": 0}
        with patch.dict(os.environ, _ENVIRONMENT), runtime.use(self.app):
            dag({"task": task, "token": "t" * 600, **watched}, LambdaContext())

    def record(self, written: Sequence[tuple[str, Item | None, Item | None]]) -> None:
        """A batch of the jobs table's changes through the change feed's function."""
        jobs = [(old, new) for table, old, new in written if table == JOBS]
        records = [_stream_record(next(self._numbers), old, new) for old, new in jobs]
        with patch.dict(os.environ, _ENVIRONMENT), runtime.use(self.app):
            answer = changes({"Records": records}, LambdaContext())
        assert not answer["batchItemFailures"], answer

    def _call(self, method: str, path: str, body: Any, query: str = "") -> Mapping[str, Any]:
        headers = [(b"content-type", b"application/json")]
        scope = {"method": method, "path": path, "query_string": query.encode(), "headers": headers}
        event = event_of(scope, b"" if body is None else json.dumps(body).encode())
        event["requestContext"]["authorizer"] = {"lambda": _CALLER}
        with runtime.use(self.app):
            answer = api(event, LambdaContext())
        assert answer["statusCode"] < 300, answer["body"]
        found: Mapping[str, Any] = json.loads(answer["body"])
        return found

    def _new_app(self) -> App:
        ports = open_ports(
            jobs_table=JOBS,
            registry_table=REGISTRY,
            bucket=BUCKET,
            pools=self.urls,
            now=self.cloud.clock.now,
            new_id=self.cloud.clock.new_id,
            rng=_NoJitter(),
            clients=self._clients,
            state_machine=self._machine,
            own_memory=512,
            policy_seconds=_POLICY_SECONDS,
            head_ms=CLOUD_HEAD_MS,
        )
        settings = Settings(stage="bench", jobs_table=JOBS, registry_table=REGISTRY, bucket=BUCKET, pools=self.urls)
        return App(ports, settings)

    def _pass(self, **_: Any) -> None:
        self.cloud.clock.advance(self._pace / 1000)

    def _url(self, name: str) -> str:
        return str(self.cloud.clients.sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def _receive(self) -> list[dict[str, Any]]:
        for band in Band:
            found = self.cloud.clients.sqs.receive_message(
                QueueUrl=self.urls["default"][band.value],
                MaxNumberOfMessages=BATCH,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            ).get("Messages", [])
            if found:
                arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:tidegate-default-{band.value}"
                return [_sqs_record(message, arn) for message in found]
        return []

    def _delete(self, records: Sequence[dict[str, Any]]) -> None:
        tickets = self.cloud.open(self.urls).tickets
        tickets.finish(
            [
                Delivery(each["body"], each["eventSourceARN"].rpartition(":")[2], each["receiptHandle"], 1)
                for each in records
            ]
        )


class _Lines(logging.Handler):
    """Measures what is logged."""

    bytes = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line."""
        told = {"level": record.levelname, "message": record.getMessage(), "logger": record.name}
        extra = {name: value for name, value in record.__dict__.items() if name not in _OF_EVERY_RECORD}
        self.bytes += len(json.dumps({**_RUNTIME_FIELDS, **told, **extra}, default=str).encode()) + 1


class _NoJitter(random.Random):
    """Draws the longest delay, so that every run counts the same."""

    def random(self) -> float:
        """Always the most."""
        return 1.0


def _item(table: str, pk: str, sk: str) -> Item | None:
    """An item as moto holds it, past every client and its hooks."""
    backend = moto.backends.get_backend("dynamodb")[ACCOUNT][os.environ["AWS_DEFAULT_REGION"]]
    found = backend.get_item(table, {"pk": {"S": pk}, "sk": {"S": sk}})
    return None if found is None else found.to_json()["Attributes"]


def _asked_for(client: Any, table: str, pk: str, sk: str) -> Item | None:
    """An item as a client that nobody watches is told."""
    key = {"pk": {"S": pk}, "sk": {"S": sk}}
    found: Item | None = client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    return found


def _state_machine(cloud: Cloud) -> str:
    """A state machine that starts executions and does nothing with them. Answers its ARN."""
    client = cloud.clients.stepfunctions
    for old in client.list_state_machines()["stateMachines"]:
        client.delete_state_machine(stateMachineArn=old["stateMachineArn"])
    definition = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Pass", "End": True}}})
    role = f"arn:aws:iam::{ACCOUNT}:role/states"
    return str(client.create_state_machine(name="tidegate-dag", definition=definition, roleArn=role)["stateMachineArn"])


def _indexes(cloud: Cloud, table: str) -> list[Index]:
    described = cloud.clients.dynamodb.describe_table(TableName=table)["Table"]
    return [_index(each) for each in described.get("GlobalSecondaryIndexes", [])]


def _index(described: Mapping[str, Any]) -> Index:
    projection = described["Projection"]
    kind, names = projection["ProjectionType"], projection.get("NonKeyAttributes", [])
    key = tuple(each["AttributeName"] for each in described["KeySchema"])
    return Index(described["IndexName"], key, None if kind == "ALL" else frozenset(names))


def _sqs_record(message: Mapping[str, Any], arn: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message["Attributes"]),
        "eventSourceARN": arn,
    }


def _stream_record(number: int, old: Item | None, new: Item | None) -> dict[str, Any]:
    images = {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}
    return {
        "eventID": str(number),
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "dynamodb": {**images, "SequenceNumber": str(number)},
    }
