"""Queues of the template and what feeds functions from them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from synthesised import Synthesised, listed

LONGEST_VISIBILITY = 12 * 60 * 60


def queues(template: Synthesised) -> dict[str, Any]:
    return template.of_type("AWS::SQS::Queue")


def mappings(template: Synthesised) -> list[dict[str, Any]]:
    return list(template.of_type("AWS::Lambda::EventSourceMapping").values())


def test_each_pool_has_four_priority_queues_and_a_dead_letter_queue(template: Synthesised) -> None:
    names = {queue["QueueName"] for queue in queues(template).values()}
    expected = {f"tidegate-dev-{pool}-{name}" for pool in ("default", "slow") for name in NAMES}
    assert names == expected | {"tidegate-dev-clock-dead", "tidegate-dev-changes-dead", "tidegate-dev-dag-dead"}


NAMES = ("critical", "high", "normal", "low", "dead")


def test_every_queue_has_a_dead_letter_queue_of_its_pool_or_is_one(template: Synthesised) -> None:
    for name, queue in queues(template).items():
        if queue["QueueName"].endswith("-dead"):
            assert "RedrivePolicy" not in queue
            continue
        redrive = queue["RedrivePolicy"]
        pool = name.removesuffix(queue["QueueName"].rsplit("-", 1)[1].title())
        assert redrive == {"deadLetterTargetArn": f"<{pool}Dead.Arn>", "maxReceiveCount": 25}


def test_queues_keep_messages_for_14_days_and_are_encrypted(template: Synthesised, sealed: Synthesised) -> None:
    for queue in queues(template).values():
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert queue["SqsManagedSseEnabled"] is True
    assert {queue["KmsMasterKeyId"] for queue in queues(sealed).values()} == {"<Key.Arn>"}


def test_every_queue_refuses_requests_without_tls(template: Synthesised) -> None:
    denied = {
        queue
        for policy in template.of_type("AWS::SQS::QueuePolicy").values()
        for queue in policy["Queues"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        and statement["Principal"] == {"AWS": "*"}
        and statement["Action"] == "sqs:*"
    }
    assert denied == {f"<{name}>" for name in queues(template)}


def test_messages_stay_hidden_for_six_timeouts_of_the_function_they_feed(template: Synthesised) -> None:
    functions = template.of_type("AWS::Lambda::Function")
    fed = 0
    for mapping in mappings(template):
        source = mapping["EventSourceArn"].strip("<>").removesuffix(".Arn")
        if source not in queues(template):
            continue
        fed += 1
        timeout = functions[mapping["FunctionName"].strip("<>")]["Timeout"]
        visibility = queues(template)[source]["VisibilityTimeout"]
        assert 6 * timeout <= visibility <= LONGEST_VISIBILITY
    assert fed == 10


def test_every_mapping_reports_single_failures(template: Synthesised) -> None:
    assert len(mappings(template)) == 11
    for mapping in mappings(template):
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize(("pool", "slots"), [("default", 10), ("slow", 2)])
def test_each_priority_queue_feeds_its_worker_with_the_slots_of_the_pool(
    template: Synthesised, pool: str, slots: int
) -> None:
    worker = f"<{template.function_id(f'worker-{pool}')}>"
    feeding = [mapping for mapping in mappings(template) if mapping["FunctionName"] == worker]
    assert {mapping["EventSourceArn"] for mapping in feeding} == {
        f"<Pool{pool}{priority}.Arn>" for priority in ("Critical", "High", "Normal", "Low")
    }
    for mapping in feeding:
        assert mapping["BatchSize"] == 10
        assert mapping["ScalingConfig"] == {"MaximumConcurrency": slots}


def test_the_stream_is_read_in_batches_that_come_again_whole_and_end_in_a_queue(template: Synthesised) -> None:
    stream = next(mapping for mapping in mappings(template) if "StreamArn" in mapping["EventSourceArn"])
    assert stream["FunctionName"] == f"<{template.function_id('changes')}>"
    assert stream["BatchSize"] >= 100
    assert stream["MaximumBatchingWindowInSeconds"] > 0
    assert "BisectBatchOnFunctionError" not in stream
    assert stream["MaximumRetryAttempts"] == -1, "until it is too old: an outage of an hour loses nothing"
    assert 12 * 3600 < stream["MaximumRecordAgeInSeconds"] < 24 * 3600, "the stream keeps a day"
    assert stream["DestinationConfig"] == {"OnFailure": {"Destination": "<ChangesDead.Arn>"}}


def test_the_clock_runs_each_minute_and_gives_missed_ticks_up(template: Synthesised) -> None:
    rule = template.of_type("AWS::Events::Rule")["ClockRule"]
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    (target,) = rule["Targets"]
    assert target["Arn"] == f"<{template.function_id('clock')}.Arn>"
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 2}
    assert target["DeadLetterConfig"] == {"Arn": "<ClockDead.Arn>"}
    (invoke,) = template.of_type("AWS::Lambda::EventInvokeConfig").values()
    assert invoke["MaximumRetryAttempts"] == 0
    assert invoke["DestinationConfig"]["OnFailure"]["Destination"] == "<ClockDead.Arn>"


def test_the_rule_may_write_to_the_queue_of_missed_ticks(template: Synthesised) -> None:
    policies = template.of_type("AWS::SQS::QueuePolicy")["ClockDeadPolicy"]["PolicyDocument"]["Statement"]
    allowed = [statement for statement in policies if statement["Effect"] == "Allow"]
    assert [statement["Principal"] for statement in allowed] == [{"Service": "events.amazonaws.com"}]
    assert listed(allowed[0]["Action"]) == ["sqs:SendMessage"]
    assert allowed[0]["Condition"] == {"ArnEquals": {"aws:SourceArn": "<ClockRule.Arn>"}}


def test_the_pools_are_announced_as_json_of_queue_urls(template: Synthesised) -> None:
    pools = json.loads(template.text(template.outputs["Pools"]["Value"]))
    assert {pool: set(urls) for pool, urls in pools.items()} == {"default": set(NAMES), "slow": set(NAMES)}
    assert pools["slow"]["critical"] == "<PoolslowCritical>"
