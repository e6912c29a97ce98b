"""What is announced when it goes wrong: each alarm says what to do and where the operations guide explains it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_cloudwatch_actions import SnsAction
from constructs import Construct

from infra import metrics
from infra.api import Api
from infra.pool import Pool
from infra.stage import StageConfig
from infra.supervisor import Supervisor

CLOCK_LAG_SECONDS = 180
ITERATOR_AGE = Duration.minutes(5)
PERIOD = metrics.FIVE_MINUTES


@dataclass(frozen=True)
class Watch:
    """One thing to watch.

    Attributes:
        name: of the alarm, after the stage.
        metric: what is measured.
        limit: the value that is still good.
        section: of the operations guide, by the anchor of its heading.
        advice: what it means and what to do, in a sentence or two.
        periods: how many periods in a row have to be bad.
        first: whether it is one of the few that every stage has.
        at_least: the limit is the least good value, and silence is bad; else it is the largest, and silence is good.
    """

    name: str
    metric: cloudwatch.IMetric
    limit: float
    section: str
    advice: str
    periods: int = 1
    at_least: bool = False
    first: bool = False


class Alarms(Construct):
    """One alarm per watch; its begin and its end go to the topic."""

    def __init__(
        self, scope: Construct, name: str, *, stage: StageConfig, topic: sns.ITopic, watches: Iterable[Watch]
    ) -> None:
        super().__init__(scope, name)
        for watch in (each for each in watches if each.first or stage.alarms == "all"):
            alarm = self._alarm(stage, watch)
            alarm.add_alarm_action(SnsAction(topic))
            alarm.add_ok_action(SnsAction(topic))

    def _alarm(self, stage: StageConfig, watch: Watch) -> cloudwatch.Alarm:
        operators, missing = cloudwatch.ComparisonOperator, cloudwatch.TreatMissingData
        return cloudwatch.Alarm(
            self,
            watch.name,
            alarm_name=f"tidegate-{stage.name}-{watch.name}",
            alarm_description=f"{watch.advice} See {stage.runbook}#{watch.section}",
            metric=watch.metric,
            threshold=watch.limit,
            evaluation_periods=watch.periods,
            comparison_operator=operators.LESS_THAN_THRESHOLD if watch.at_least else operators.GREATER_THAN_THRESHOLD,
            treat_missing_data=missing.BREACHING if watch.at_least else missing.NOT_BREACHING,
        )


def pool_watches(pool: Pool) -> list[Watch]:
    """Dead letters that stay, and tickets that wait too long."""
    return [
        dead_letters(
            pool.config.name,
            pool.dead,
            "Tickets stay in the dead-letter queue, so the function that returns them fails: mend what its log shows, "
            "and they drain by themselves.",
        ),
        # Workers over HTTPS take no tickets, so where there is no Lambda their age tells nothing.
        *(_oldest(pool, priority, queue) for priority, queue in pool.queues.items() if pool.config.handlers),
    ]


def dead_letters(name: str, queue: sqs.IQueue, advice: str) -> Watch:
    """Anything that lies in a dead-letter queue."""
    depth = queue.metric_approximate_number_of_messages_visible(period=PERIOD, statistic="Maximum")
    return Watch(name=f"{name}-dead-letters", metric=depth, limit=0, section="dead-letters", advice=advice)


def function_watches(name: str, function: lambda_.IFunction) -> list[Watch]:
    """Errors and throttles of one function."""
    return [
        Watch(
            name=f"{name}-errors",
            metric=function.metric_errors(period=PERIOD, statistic="Sum"),
            limit=0,
            section="function-errors",
            advice=f"The function {name} raised an error or ran out of time. Nothing is lost: mend what its log shows.",
            first=name.startswith("worker-"),
        ),
        Watch(
            name=f"{name}-throttles",
            metric=function.metric_throttles(period=PERIOD, statistic="Sum"),
            limit=0,
            section="throttles",
            advice=f"The function {name} is refused for lack of concurrency. Lower the slots of the pools, or raise "
            "the limit of the account.",
            periods=3,
        ),
    ]


def clock_watches(stage: StageConfig, clock: lambda_.IFunction, dead: sqs.IQueue) -> list[Watch]:
    """A clock that stands still or falls behind."""
    return [
        Watch(
            name="clock-stopped",
            metric=clock.metric_invocations(period=PERIOD, statistic="Sum"),
            limit=1,
            section="clock",
            advice="The clock has not run for five minutes: delayed jobs and lost tickets stand still. Check that its "
            "rule is enabled.",
            at_least=True,
            first=True,
        ),
        Watch(
            name="clock-lag",
            metric=metrics.own(stage.name, "ClockLag", "Maximum", period=PERIOD),
            limit=CLOCK_LAG_SECONDS,
            section="clock",
            advice=f"The clock is more than {CLOCK_LAG_SECONDS} s behind what is due. Look for throttled tables and "
            "for a burst of delayed jobs.",
            periods=2,
        ),
        dead_letters(
            "clock",
            dead,
            "Ticks of the clock failed. The next tick did their work: mend what its log shows, then purge.",
        ),
    ]


def changes_watches(changes: lambda_.IFunction, dead: sqs.IQueue) -> list[Watch]:
    """A change feed that falls behind or has given records up; a stream forgets after a day."""
    return [
        Watch(
            name="changes-behind",
            metric=changes.metric("IteratorAge", period=PERIOD, statistic="Maximum"),
            limit=ITERATOR_AGE.to_milliseconds(),
            section="change-feed",
            advice="The change feed is behind, so counters and events are late. Mend what its log shows within "
            "twenty hours.",
            periods=2,
            first=True,
        ),
        dead_letters(
            "changes",
            dead,
            "Changes were given up, so counters may be wrong. Mend what the log shows, recount, then purge.",
        ),
    ]


def api_watches(api: Api) -> list[Watch]:
    """Answers of the API that blame the server."""
    return [
        Watch(
            name="api-5xx",
            metric=api.http.metric_server_error(period=PERIOD, statistic="Sum"),
            limit=0,
            section="api-errors",
            advice="The API answered 5xx. Find the request in the access log and its error in the function's log.",
            first=True,
        )
    ]


def supervisor_watches(supervisor: Supervisor) -> list[Watch]:
    """Supervisors that gave up, and news of stopped ones that nobody could take in."""
    failed = cloudwatch.Metric(
        namespace="AWS/States",
        metric_name="ExecutionsFailed",
        dimensions_map={"StateMachineArn": supervisor.machine.ref},
        period=PERIOD,
        statistic="Sum",
    )
    return [
        Watch(
            name="supervisors-failed",
            metric=failed,
            limit=0,
            section="supervisors",
            advice="A run lost its supervisor: its jobs go on, and the clock keeps its deadlines. Mend what the log of "
            "the function dag shows.",
        ),
        dead_letters(
            "dag",
            supervisor.dead,
            "A supervisor was stopped and its run was not: cancel the run, mend what the log shows, then purge.",
        ),
    ]


def _oldest(pool: Pool, priority: str, queue: sqs.IQueue) -> Watch:
    limit = pool.config.oldest_alarm_seconds
    return Watch(
        name=f"{pool.config.name}-{priority}-oldest",
        metric=queue.metric_approximate_age_of_oldest_message(period=PERIOD, statistic="Maximum"),
        limit=limit,
        section="old-tickets",
        advice=f"A {priority} ticket of pool {pool.config.name} waits longer than {limit} s. Add slots, look for "
        "throttles, or find the jobs that retry for long.",
    )
