"""The rules of the notifications guide, on a bus that hands what they match to a queue."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.aws import Cloud
from support.clock import START_MS
from tidegate.adapters.aws.eventbridge import bus_named
from tidegate.domain.dag.run import RunState
from tidegate.domain.events import Event, RunEvent, body_of
from tidegate.domain.job import State

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "notifications.md").read_text()
BLOCKS = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)]
RULES = dict(
    zip(re.findall(r"^`(\w+)\.json`: ", GUIDE, re.MULTILINE), (b for b in BLOCKS if "source" in b), strict=True)
)
BUS = "tidegate-dev"


def job(number: int, event_type: str, **fields: Any) -> Event:
    details = fields.pop("details", {"error_message": "no", "tags": ["nightly"]})
    made = {
        "name": "training", "queue": "invoices", "old_state": State.ACTIVE, "state": State.FAILED, "attempt": 1,
    }  # fmt: skip
    return Event(
        id=str(number), type=event_type, at=START_MS, tenant="main", owner="ann", job_id="j", details=details,
        **{**made, **fields},
    )  # fmt: skip


def run(number: int, event_type: str, state: RunState) -> RunEvent:
    return RunEvent(
        id=str(number),
        type=event_type,
        at=START_MS,
        tenant="main",
        owner="ann",
        dag_id="r",
        name="invoices",
        state=state,
    )


ANNOUNCED: list[Event | RunEvent] = [
    job(1, "job.failed"),
    job(2, "job.failed", queue="other", name="extract", details={}),
    job(3, "job.completed", state=State.COMPLETED),
    job(4, "job.completed", state=State.COMPLETED, details={"tags": ["weekly"]}),
    job(5, "job.retrying", state=State.RETRY),
    job(6, "job.sla.at_risk", state=State.ACTIVE),
    job(7, "job.sla.hard_missed", state=State.ACTIVE, queue="other"),
    run(8, "dag.failed", RunState.FAILED),
    run(9, "dag.completed", RunState.COMPLETED),
]


@pytest.fixture
def listener(aws: Cloud) -> Iterator[str]:
    """A queue that rules of a fresh bus may have as their target."""
    aws.reset()
    aws.clients.events.create_event_bus(Name=BUS)
    queue = str(aws.clients.sqs.create_queue(QueueName="listener")["QueueUrl"])
    yield queue
    for name in RULES:
        aws.clients.events.remove_targets(Rule=name, EventBusName=BUS, Ids=["q"])
        aws.clients.events.delete_rule(Name=name, EventBusName=BUS)
    aws.clients.events.delete_event_bus(Name=BUS)
    aws.clients.sqs.delete_queue(QueueUrl=queue)


@pytest.mark.parametrize(("rule", "taken"), [("failed", {"1", "2", "8"}), ("late", {"6"}), ("training", {"1", "3"})])
def test_a_rule_of_the_guide_takes_the_events_it_is_for_and_no_other(
    aws: Cloud, listener: str, rule: str, taken: set[str]
) -> None:
    events, sqs = aws.clients.events, aws.clients.sqs
    arn = sqs.get_queue_attributes(QueueUrl=listener, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for name, pattern in RULES.items():
        events.put_rule(Name=name, EventBusName=BUS, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, EventBusName=BUS, Targets=[{"Id": "q", "Arn": arn}])
    bus_named(aws.clients, BUS).publish(ANNOUNCED)
    told = sqs.receive_message(QueueUrl=listener, MaxNumberOfMessages=10)["Messages"]
    assert {json.loads(message["Body"])["detail"]["id"] for message in told} == taken


def test_the_sentences_of_the_guide_are_made_of_what_an_event_has() -> None:
    transformers = [block for block in BLOCKS if "InputTemplate" in block]
    transformers += [target["InputTransformer"] for block in BLOCKS if isinstance(block, list) for target in block]
    assert len(transformers) == 2
    told: Any = {"detail-type": "job.failed", "detail": body_of(ANNOUNCED[0])}
    for transformer in transformers:
        paths, template = transformer["InputPathsMap"], transformer["InputTemplate"]
        filled = template
        for name, path in paths.items():
            value = told
            for step in path.removeprefix("$.").split("."):
                value = value[step]
            filled = filled.replace(f"<{name}>", str(value))
        assert set(re.findall(r"<(\w+)>", template)) == set(paths)
        assert "training" in str(json.loads(filled))
