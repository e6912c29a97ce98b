"""The jobs table's stream on moto."""

from __future__ import annotations

from typing import Any

import boto3  # type: ignore[import-untyped]

from .aws import JOBS


class JobsStream:
    """Reads the stream from its beginning, on and on."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb
        self._streams = boto3.client("dynamodbstreams")
        self._iterator = ""

    def records(self) -> list[dict[str, Any]]:
        """What came since the last time."""
        page = self._streams.get_records(ShardIterator=self._iterator or self._beginning())
        self._iterator = page["NextShardIterator"]
        return list(page["Records"])

    def _beginning(self) -> str:
        arn = self._dynamodb.describe_table(TableName=JOBS)["Table"]["LatestStreamArn"]
        (shard,) = self._streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        return str(self._streams.get_shard_iterator(**asked)["ShardIterator"])
