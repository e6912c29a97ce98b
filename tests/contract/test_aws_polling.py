"""A stage that sleeps: its event source mappings follow the clock and those who make jobs ready."""

from __future__ import annotations

import io
import json
import zipfile
from types import SimpleNamespace
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from home import Home as Services
from support.aws import Cloud
from support.clock import Clock
from support.homes import Home
from tidegate.adapters.aws.clients import Clients
from tidegate.adapters.aws.lambda_polling import AWAKE_MS, LambdaPolling
from tidegate.domain.errors import Unavailable
from tidegate.runtime import App
from tidegate.settings import Settings


class Mappings:
    """Lambda's event source mappings in memory; a change in progress ends when the mapping is looked at again."""

    def __init__(self) -> None:
        self.states = {"a": "Enabled", "b": "Enabled"}
        self.calls: list[str] = []
        self.conflict: set[str] = set()

    def get_event_source_mapping(self, UUID: str) -> Any:  # noqa: N803 - as boto3 names it
        self.calls.append(f"get {UUID}")
        state = self.states[UUID]
        self.states[UUID] = {"Disabling": "Disabled", "Enabling": "Enabled"}.get(state, state)
        return {"State": state}

    def update_event_source_mapping(self, UUID: str, Enabled: bool) -> Any:  # noqa: N803
        if UUID in self.conflict:
            raise ClientError({"Error": {"Code": "ResourceInUseException"}}, "UpdateEventSourceMapping")
        self.calls.append(f"{'enable' if Enabled else 'disable'} {UUID}")
        self.states[UUID] = "Enabling" if Enabled else "Disabling"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mappings() -> Mappings:
    return Mappings()


@pytest.fixture
def polling(mappings: Mappings, clock: Clock) -> LambdaPolling:
    clients: Any = SimpleNamespace(lambda_=mappings)
    return LambdaPolling(clients, ("a", "b"), clock.now)


def test_rest_and_wake_change_what_is_otherwise(polling: LambdaPolling, mappings: Mappings) -> None:
    polling.wake()
    assert mappings.calls == ["get a", "get b"], "they were awake"
    polling.rest()
    assert mappings.calls[2:] == ["get a", "disable a", "get b", "disable b"]
    polling.wake()
    assert mappings.states == {"a": "Enabling", "b": "Enabling"}


def test_a_process_that_knows_asks_no_more(polling: LambdaPolling, mappings: Mappings, clock: Clock) -> None:
    polling.wake()
    mappings.calls.clear()
    polling.wake()
    assert mappings.calls == []
    clock.advance(AWAKE_MS / 1000)
    polling.wake()
    assert mappings.calls == ["get a", "get b"]
    polling.rest()
    mappings.calls.clear()
    polling.rest()
    assert mappings.calls == []


def test_a_mapping_that_is_being_changed_is_tried_again(polling: LambdaPolling, mappings: Mappings) -> None:
    mappings.conflict = {"a"}
    polling.rest()
    assert mappings.states == {"a": "Enabled", "b": "Disabling"}, "the other one is not held up"
    mappings.conflict = set()
    polling.rest()
    assert mappings.states["a"] == "Disabling"


def test_another_error_is_raised(polling: LambdaPolling, mappings: Mappings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetEventSourceMapping")

    monkeypatch.setattr(mappings, "get_event_source_mapping", refuse)
    with pytest.raises(ClientError):
        polling.wake()


def test_the_requests_are_those_of_lambda(aws: Cloud) -> None:
    ports = aws.reset()
    source = aws.clients.sqs.get_queue_attributes(
        QueueUrl=aws.clients.sqs.create_queue(QueueName="tickets")["QueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    role = boto3.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps({}))["Role"]["Arn"]
    client = boto3.client("lambda")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler.py", "")
    client.create_function(
        FunctionName="worker", Runtime="python3.13", Role=role, Handler="h.h", Code={"ZipFile": code.getvalue()}
    )
    mapping = client.create_event_source_mapping(FunctionName="worker", EventSourceArn=source)["UUID"]
    polling = LambdaPolling(Clients(), (mapping,), ports.now)
    polling.rest()
    assert client.get_event_source_mapping(UUID=mapping)["State"] == "Disabled"
    polling.wake()
    assert client.get_event_source_mapping(UUID=mapping)["State"] == "Enabled"


class Recorder:
    """A `Polling` that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.trouble = False

    def wake(self) -> None:
        self.told.append("wake")
        if self.trouble:
            raise Unavailable

    def rest(self) -> None:
        self.told.append("rest")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def services(home: Home, recorder: Recorder) -> Services:
    """Either home with a recorder for what polls its queues."""
    services = Services(App(home.ports, Settings(pools={key: {} for key in home.ports.pools})), home.clock)
    return services.with_ports(polling=recorder)


def test_who_makes_a_job_ready_wakes_and_the_clock_lets_rest_once_no_lane_is_known(
    services: Services, recorder: Recorder
) -> None:
    services.tick(60)
    assert recorder.told == ["rest"]
    services.submit()
    services.tick(60)
    assert recorder.told == ["rest", "wake", "wake"]
    services.drain(services.runner(work=lambda _: None))
    for _ in range(4):
        services.clock.advance(3_601)
        services.tick(60)
    assert recorder.told[-1] == "rest"


def test_a_delayed_job_is_woken_for_by_the_clock(services: Services, recorder: Recorder) -> None:
    services.submit(start_after=services.clock.now() + 5 * 3_600_000)
    for _ in range(4):
        services.clock.advance(3_601)
        services.tick(60)
    assert recorder.told[-1] == "rest"
    services.clock.advance(3_600)
    services.tick(60)
    assert recorder.told[-1] == "wake"


def test_trouble_with_waking_stands_in_no_submissions_way(services: Services, recorder: Recorder) -> None:
    recorder.trouble = True
    assert services.submit().id
