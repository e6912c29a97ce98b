"""The cloud home as a test has it, and callers of the API."""

from __future__ import annotations

from typing import Any

from gateway import Api
from tidegate_functions.changes.handler import handler as change

from home import Clock, Home
from support.aws import JOBS
from tidegate import runtime
from tidegate.adapters.aws.clients import Clients
from tidegate.execution.context import JobContext
from tidegate.runtime import App

SLOTS = 5
USER = Api(scopes="submit read")
OPERATOR = Api(user="olga", scopes="submit read operate")


class CloudHome(Home):
    """A home on moto whose change feed is the stream of the jobs table."""

    def __init__(self, app: App, clock: Clock, clients: Clients) -> None:
        super().__init__(app, clock)
        self._handled: set[str] = set()
        self._clients = clients

    def pump(self) -> None:
        """Hand the records that the stream has got since to the change feed's function."""
        import boto3  # type: ignore[import-untyped]

        streams = boto3.client("dynamodbstreams")
        arn = self._clients.dynamodb.describe_table(TableName=JOBS)["Table"]["LatestStreamArn"]
        (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records: list[dict[str, Any]] = []
        while iterator:
            answer = streams.get_records(ShardIterator=iterator, Limit=1_000)
            records += answer["Records"]
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
        fresh = [record for record in records if record["eventID"] not in self._handled]
        self._handled |= {record["eventID"] for record in fresh}
        with runtime.use(self.app):
            assert change({"Records": fresh}, None) == {"batchItemFailures": []}


def run(home: Home, **functions: Any) -> None:
    """Run all jobs that are ready, and let the change feed count."""
    home.drain(home.runner(**functions))
    home.pump()


def fail(job: JobContext) -> None:
    """A handler that always raises."""
    raise RuntimeError(f"document {job.id} of 1234 bytes cannot be read")


def fail_until(attempt: int) -> Any:
    """A handler that succeeds with a given attempt."""

    def handle(job: JobContext) -> int:
        if job.attempt < attempt:
            raise RuntimeError("not yet")
        return job.attempt

    return handle
