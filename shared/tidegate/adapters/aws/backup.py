"""On-demand backups of a deployment's tables, with the AWS credentials at hand: no function may make one."""

from __future__ import annotations

from collections.abc import Sequence

import boto3  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from tidegate.domain.errors import Unavailable


def back_up(tables: Sequence[str], name: str) -> Sequence[str]:
    """Begin a backup of each table under `name`; answers their ARNs. DynamoDB completes them by itself.

    Raises Unavailable when AWS refuses or is out of reach. Large values are in the bucket and are not part of it.
    """
    try:
        dynamodb = boto3.client("dynamodb")
        answers = [dynamodb.create_backup(TableName=table, BackupName=name) for table in tables]
    except (ClientError, BotoCoreError) as error:
        raise Unavailable(f"the backup failed: {error}") from error
    return [answer["BackupDetails"]["BackupArn"] for answer in answers]
