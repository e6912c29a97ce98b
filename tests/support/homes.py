"""A home of either kind, and the clock it lives by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boto3  # type: ignore[import-untyped]

from tidegate.ports import Ports

from .aws import JOBS
from .clock import Clock

KINDS = ("aws", "sqlite")


@dataclass(frozen=True, slots=True)
class Home:
    """All ports of one kind of home, empty at first."""

    kind: str
    ports: Ports
    clock: Clock
    dynamodb: str | None = None
    """The endpoint of the server that has the tables, where it is not moto."""


def stream_records(home: Home) -> list[dict[str, Any]]:
    """All records of the jobs table's stream in a home on AWS, as Lambda gets them."""
    tables = boto3.client("dynamodb", endpoint_url=home.dynamodb)
    streams = boto3.client("dynamodbstreams", endpoint_url=home.dynamodb)
    arn = tables.describe_table(TableName=JOBS)["Table"]["LatestStreamArn"]
    records: list[dict[str, Any]] = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        records += streams.get_records(ShardIterator=streams.get_shard_iterator(**asked)["ShardIterator"])["Records"]
    return records
