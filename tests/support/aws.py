"""The cloud home on moto: tables, queues and a bucket like those of the deployed template."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import moto.backends
import pytest
from moto import mock_aws

from tidegate.adapters.aws import keys, listing
from tidegate.adapters.aws.clients import Clients
from tidegate.adapters.aws.ports import open_ports
from tidegate.domain.priority import Band
from tidegate.ports import Ports

from .clock import Clock
from .moto_guard import guarded_moto

JOBS, REGISTRY, BUCKET = "tidegate-jobs", "tidegate-registry", "tidegate-blobs"
POOLS = ("default", "gpu")
VISIBILITY_SECONDS = 30

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",  # moto does not know the hosts that carry an account
}
_KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
_BOARD_KEYS = [{"AttributeName": "board", "KeyType": "HASH"}, {"AttributeName": "board_at", "KeyType": "RANGE"}]


class Cloud:
    """moto and the clients to it, made once: a client costs more than all that a test does with it."""

    def __init__(self) -> None:
        self._by_server = {"": Clients()}
        self.clients = self._by_server[""]
        self.clock = Clock()

    def reset(self, dynamodb: str = "") -> Ports:
        """All ports on empty, freshly made resources, at the start of time.

        With `dynamodb`, the endpoint of a server, the tables are there, and all else is moto's.
        """
        for service in ("dynamodb", "dynamodbstreams", "sqs", "s3", "events", "ssm"):
            for backend in moto.backends.get_backend(service).values():
                for regional in backend.values():
                    regional.reset()
        self.clock = Clock()
        self.clients = self._by_server.get(dynamodb) or self._clients_of(dynamodb)
        _drop_tables(self.clients.dynamodb)
        _make_tables(self.clients.dynamodb)
        self.clients.s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": _ENVIRONMENT["AWS_DEFAULT_REGION"]}
        )
        return self.open(_make_queues(self.clients.sqs))

    def _clients_of(self, dynamodb: str) -> Clients:
        made = self._by_server[dynamodb] = clients_of(dynamodb)
        return made

    def queue_urls(self) -> Mapping[str, Mapping[str, str]]:
        """The queues of each pool by band."""
        url = self.clients.sqs.get_queue_url
        return {
            pool: {band.value: str(url(QueueName=f"tidegate-{pool}-{band.value}")["QueueUrl"]) for band in Band}
            for pool in POOLS
        }

    def open(
        self,
        pools: Mapping[str, Mapping[str, str]],
        clients: Clients | None = None,
        state_machine: str = "",
        *,
        calls_back: bool = False,
    ) -> Ports:
        """All ports, as another process of the deployment would have them."""
        return open_ports(
            jobs_table=JOBS,
            registry_table=REGISTRY,
            bucket=BUCKET,
            pools=pools,
            now=lambda: self.clock.now(),
            new_id=lambda: self.clock.new_id(),
            rng=random.Random(1),
            clients=clients or self.clients,
            state_machine=state_machine,
            calls_back=calls_back,
            own_memory=512,
        )


def clients_of(dynamodb: str) -> Clients:
    """Clients of their own, with a DynamoDB at this endpoint; moto's, if there is none."""
    made = Clients()
    with pytest.MonkeyPatch.context() as environment:
        if dynamodb:
            environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb)
        assert not dynamodb or made.dynamodb.meta.endpoint_url == dynamodb
    return made


@contextmanager
def cloud() -> Iterator[Cloud]:
    """moto, guarded, for as long as the context lasts."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in _ENVIRONMENT.items():
            environment.setenv(name, value)
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        environment.delenv("AWS_PROFILE", raising=False)
        with mock_aws():
            made = Cloud()
            with guarded_moto(lambda: made.clock.now()):
                yield made


def _drop_tables(dynamodb: Any) -> None:
    for name in dynamodb.list_tables()["TableNames"]:
        dynamodb.delete_table(TableName=name)


def _make_tables(dynamodb: Any) -> None:
    text = {name: {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "board", "board_at")}
    dynamodb.create_table(
        TableName=JOBS,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_KEYS,
        AttributeDefinitions=list(text.values()),
        GlobalSecondaryIndexes=[
            {
                "IndexName": "board",
                "KeySchema": _BOARD_KEYS,
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["id"]},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    dynamodb.create_table(
        TableName=REGISTRY,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_KEYS,
        AttributeDefinitions=[text["pk"], text["sk"]],
    )


def _make_queues(sqs: Any) -> dict[str, dict[str, str]]:
    def made(name: str) -> str:
        attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        return str(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    return {pool: {band.value: made(f"tidegate-{pool}-{band.value}") for band in Band} for pool in POOLS}


@contextmanager
def few_keys() -> Iterator[None]:
    """A tenant's jobs on four keys of the table instead of 32, each of which a page of a listing asks: for what is
    about other things than where jobs are."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keys, "SHARDS", 4)
        patched.setattr(listing, "SHARDS", 4)
        yield
