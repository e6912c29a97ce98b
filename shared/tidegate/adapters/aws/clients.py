"""The AWS clients, made when first used, and the one place where their passing errors become `Unavailable`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError, HTTPClientError  # type: ignore[import-untyped]
from botocore.exceptions import ConnectionError as AwsConnectionError
from botocore.session import Session  # type: ignore[import-untyped]

from tidegate.domain.errors import Unavailable

from .parallel import THREADS, Parallel

CONNECT_SECONDS = 2
READ_SECONDS = 5
"""No answer takes longer, long polls of SQS included (`sqs_tickets.SLICE_SECONDS`)."""
CONNECTIONS = THREADS
"""Connections that a client keeps: one for each thread that may use it at once."""

logging.getLogger("botocore").setLevel(logging.INFO)  # below that it logs whole requests: payloads and tokens
_CONFIG = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=CONNECTIONS,
)

_PASSING = frozenset(
    {
        "ExecutionLimitExceeded",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


class Clients:
    """The deployment's clients, one of each service, safe to share between threads.

    Region, credentials and endpoint come from the environment, as AWS documents them. They are botocore's own: boto3
    makes the same ones, and imports its uploads and downloads of files besides, a fifth of a cold start.
    """

    def __init__(self) -> None:
        self.parallel = Parallel()
        self._lock = threading.Lock()
        self._session = Session()
        self._made: dict[str, Any] = {}

    @property
    def dynamodb(self) -> Any:
        """The DynamoDB client."""
        return self._client("dynamodb")

    @property
    def sqs(self) -> Any:
        """The SQS client."""
        return self._client("sqs")

    @property
    def s3(self) -> Any:
        """The S3 client."""
        return self._client("s3")

    @property
    def events(self) -> Any:
        """The EventBridge client."""
        return self._client("events")

    @property
    def lambda_(self) -> Any:
        """The Lambda client."""
        return self._client("lambda")

    @property
    def ssm(self) -> Any:
        """The client of Systems Manager."""
        return self._client("ssm")

    @property
    def stepfunctions(self) -> Any:
        """The Step Functions client."""
        return self._client("stepfunctions")

    def _client(self, service: str) -> Any:
        made = self._made.get(service)
        if made is None:
            with self._lock:  # making clients in a shared session is not safe in threads
                made = self._made.get(service) or self._session.create_client(service, config=_CONFIG)
                self._made[service] = made
        return made


def request(operation: Callable[..., Any], **arguments: Any) -> Any:
    """`operation(**arguments)`; throttles, 5xx answers and connection errors raise Unavailable.

    Every other error, such as a refused condition or an invalid request, passes through as it is.
    """
    try:
        return operation(**arguments)
    except ClientError as error:
        if _is_passing(error):
            raise Unavailable(f"AWS is busy: {code_of(error)}") from error
        raise
    except (HTTPClientError, AwsConnectionError) as error:
        raise Unavailable(f"AWS is out of reach: {error}") from error


def code_of(error: ClientError) -> str:
    """The error's code, without the prefix that SQS puts before some."""
    return str(error.response["Error"].get("Code", "")).rpartition(".")[2]


def was_retried(response: Any) -> bool:
    """Whether botocore sent the request more than once, so that an earlier sending may have been applied."""
    return int(response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) > 0


def _is_passing(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code_of(error) in _PASSING or int(status) >= 500
