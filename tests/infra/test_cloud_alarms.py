"""Alarms and dashboard of the template."""

from __future__ import annotations

import json
import re
import runpy
from typing import Any

import pytest
from synthesised import ROOT, Synthesised

from tidegate.execution.emf import FIGURES

FUNCTIONS = ("api", "authorizer", "worker-default", "worker-slow", "clock", "changes", "dead_letters", "dag")
PRIORITIES = ("critical", "high", "normal", "low")
ALARMS = {
    *(f"{function}-{kind}" for function in FUNCTIONS for kind in ("errors", "throttles")),
    *(f"{pool}-dead-letters" for pool in ("default", "slow")),
    *(f"{pool}-{priority}-oldest" for pool in ("default", "slow") for priority in PRIORITIES),
    *("clock-stopped", "clock-lag", "clock-dead-letters"),
    *("changes-behind", "changes-dead-letters"),
    *("supervisors-failed", "dag-dead-letters"),
    "api-5xx",
}


def alarms(template: Synthesised) -> dict[str, Any]:
    return {
        alarm["AlarmName"].removeprefix("tidegate-dev-"): alarm
        for alarm in template.of_type("AWS::CloudWatch::Alarm").values()
    }


def test_everything_that_can_go_wrong_has_an_alarm(template: Synthesised) -> None:
    assert set(alarms(template)) == ALARMS


FEW = {"clock-stopped", "changes-behind", "api-5xx", "worker-default-errors", "worker-slow-errors"}


def test_a_lean_stage_has_few_alarms_and_no_dashboard(sealed: Synthesised) -> None:
    assert set(alarms(sealed)) == FEW
    assert not sealed.of_type("AWS::CloudWatch::Dashboard")


def test_every_alarm_announces_its_begin_and_its_end(template: Synthesised) -> None:
    for alarm in alarms(template).values():
        assert alarm["AlarmActions"] == ["<AlarmTopic>"]
        assert alarm["OKActions"] == ["<AlarmTopic>"]


def test_every_alarm_says_what_to_do_and_names_a_section_of_the_guide(template: Synthesised) -> None:
    anchors = runpy.run_path(str(ROOT / "docs" / "check.py"))["anchors"]
    for name, alarm in alarms(template).items():
        found = re.fullmatch(r".+\. See (docs/operations\.md)#(.+)", alarm["AlarmDescription"])
        assert found, name
        assert found[2] in anchors(ROOT / found[1])


def test_silence_of_the_clock_is_an_alarm(template: Synthesised) -> None:
    stopped = alarms(template)["clock-stopped"]
    assert stopped["TreatMissingData"] == "breaching"
    assert (stopped["ComparisonOperator"], stopped["Threshold"]) == ("LessThanThreshold", 1)
    assert stopped["MetricName"] == "Invocations"
    assert stopped["Dimensions"] == [{"Name": "FunctionName", "Value": "<ClockFunction>"}]


def test_silence_of_anything_else_is_good(template: Synthesised) -> None:
    quiet = {name: alarm for name, alarm in alarms(template).items() if name != "clock-stopped"}
    assert {alarm["TreatMissingData"] for alarm in quiet.values()} == {"notBreaching"}
    assert {alarm["ComparisonOperator"] for alarm in quiet.values()} == {"GreaterThanThreshold"}


@pytest.mark.parametrize("priority", PRIORITIES)
def test_each_priority_queue_is_watched_for_tickets_that_wait(template: Synthesised, priority: str) -> None:
    alarm = alarms(template)[f"slow-{priority}-oldest"]
    assert alarm["MetricName"] == "ApproximateAgeOfOldestMessage"
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": f"<Poolslow{priority.title()}.QueueName>"}]
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Maximum", 3600)


def test_cloudwatch_may_publish_and_the_stage_s_address_is_subscribed(template: Synthesised) -> None:
    (policy,) = template.of_type("AWS::SNS::TopicPolicy").values()
    allowed = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert [(s["Principal"], s["Action"]) for s in allowed] == [
        ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    ]
    (subscription,) = template.of_type("AWS::SNS::Subscription").values()
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.org")


QUEUES = ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage", "Throttles", "Errors", "IteratorAge")


@pytest.mark.parametrize("figure", [*FIGURES, *QUEUES])
def test_the_dashboard_shows_each_figure(template: Synthesised, figure: str) -> None:
    assert f'"{figure}"' in body(template)


def test_figures_of_the_program_have_the_stage_as_their_one_dimension(template: Synthesised) -> None:
    own = [
        metric
        for widget in json.loads(body(template))["widgets"]
        for metric in widget["properties"]["metrics"]
        if metric[0] == "Tidegate"
    ]
    assert own
    assert {tuple(metric[2:4]) for metric in own} == {("stage", "dev")}


def test_the_dashboard_shows_percentiles_and_the_rate_of_success(template: Synthesised) -> None:
    assert '"p50"' in body(template)
    assert '"p99"' in body(template)
    assert "100 * completed / (completed + failed + expired)" in body(template)


def test_the_dashboard_shows_every_queue_and_function(template: Synthesised) -> None:
    for queue in template.of_type("AWS::SQS::Queue"):
        assert f"<{queue}.QueueName>" in body(template)
    for function in template.of_type("AWS::Lambda::Function"):
        assert f"<{function}>" in body(template)


def test_questions_to_the_logs_are_saved_and_name_what_the_program_writes(
    template: Synthesised, sealed: Synthesised
) -> None:
    for stage in (template, sealed):
        found = {each["Name"]: each for each in stage.of_type("AWS::Logs::QueryDefinition").values()}
        assert {"tidegate-dev/one request", "tidegate-dev/one job", "tidegate-dev/slowest answers"} <= set(found)
        groups = {f"<{name}>" for name in stage.of_type("AWS::Logs::LogGroup")}
        assert {group for each in found.values() for group in each["LogGroupNames"]} <= groups
        assert len(found["tidegate-dev/errors"]["LogGroupNames"]) == len(stage.functions())
        assert found["tidegate-dev/slowest answers"]["LogGroupNames"] == ["<ApiAccessLogs>"]
        assert 'correlation_id = "' in found["tidegate-dev/one request"]["QueryString"]


def body(template: Synthesised) -> str:
    (board,) = template.of_type("AWS::CloudWatch::Dashboard").values()
    return str(board["DashboardBody"])
