"""The CloudWatch dashboard of a stage: what waits, what runs, how it ends, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import metrics
from infra.api import Api
from infra.pool import Pool
from infra.stage import StageConfig

WIDTH = 24
HEIGHT = 6


class Dashboard(Construct):
    """One dashboard; jobs first, then each pool, then the machinery."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        stage: StageConfig,
        pools: Sequence[Pool],
        functions: Mapping[str, lambda_.IFunction],
        dead: Mapping[str, sqs.IQueue],
        api: Api,
    ) -> None:
        super().__init__(scope, name)
        board = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=f"tidegate-{stage.name}",
            default_interval=Duration.hours(3),
        )
        board.add_widgets(*_now(stage.name))
        board.add_widgets(*_flow(stage.name))
        board.add_widgets(*_waiting(stage.name))
        board.add_widgets(*_quality(stage.name))
        for pool in pools:
            board.add_widgets(*_pool(pool))
        board.add_widgets(*_trouble(stage.name))
        board.add_widgets(*_functions(functions))
        board.add_widgets(*_machinery(functions, dead, api))


def _now(stage: str) -> list[cloudwatch.IWidget]:
    figures = [
        metrics.own(stage, "Ready", "Maximum", "ready"),
        metrics.own(stage, "Active", "Maximum", "active"),
        metrics.own(stage, "JobsFailed", "Sum", "failed in the last minute"),
    ]
    single = cloudwatch.SingleValueWidget(title="Jobs now", metrics=figures, width=WIDTH // 2, height=HEIGHT)
    return [single, _graph("Jobs ready, active, failed", figures, 2)]


def _waiting(stage: str) -> list[cloudwatch.IWidget]:
    bands = [
        metrics.own(stage, f"Waiting{band.title()}", "Maximum", band) for band in ("critical", "high", "normal", "low")
    ]
    waits = [metrics.own(stage, "JobWait", statistic, statistic) for statistic in ("p50", "p99")]
    around = [
        metrics.own(stage, "Scheduled", "Maximum", "waiting for their time"),
        metrics.own(stage, "Workers", "Maximum", "workers"),
    ]
    return [
        _graph("Waiting for a worker, by priority", bands, 4),
        _graph("Oldest waiting job, s", [metrics.own(stage, "OldestJob", "Maximum", "its age")], 4),
        _graph("How long started jobs had waited, ms", waits, 4),
        _graph("Scheduled jobs, workers", around, 4),
    ]


def _flow(stage: str) -> list[cloudwatch.IWidget]:
    names = {
        "JobsCreated": "created",
        "JobsStarted": "started",
        "JobsCompleted": "completed",
        "JobsFailed": "failed",
        "JobsCancelled": "cancelled",
        "JobsExpired": "expired",
    }
    throughput = [metrics.own(stage, name, "Sum", label) for name, label in names.items()]
    retries = [metrics.own(stage, "JobsRetried", "Sum", "retries")]
    return [_graph("Throughput, jobs per minute", throughput, 2), _graph("Retries per minute", retries, 2)]


def _quality(stage: str) -> list[cloudwatch.IWidget]:
    durations = [metrics.own(stage, "JobDuration", statistic, statistic) for statistic in ("p50", "p99")]
    deadlines = [
        metrics.own(stage, name, "Sum", label)
        for name, label in (
            ("SlaMet", "met"),
            ("SlaAtRisk", "at risk"),
            ("SlaSoftMissed", "soft missed"),
            ("SlaHardMissed", "hard missed"),
        )
    ]
    lag = [metrics.own(stage, "ClockLag", "Maximum", "clock lag")]
    return [
        _graph("Success rate, %", [metrics.success_rate(stage)], 4),
        _graph("Duration of jobs, ms", durations, 4),
        _graph("Deadlines told", deadlines, 4),
        _graph("Clock lag, s", lag, 4),
    ]


def _pool(pool: Pool) -> list[cloudwatch.IWidget]:
    name = pool.config.name
    depth = [
        queue.metric_approximate_number_of_messages_visible(period=metrics.MINUTE, statistic="Maximum", label=priority)
        for priority, queue in pool.queues.items()
    ]
    oldest = [
        queue.metric_approximate_age_of_oldest_message(period=metrics.MINUTE, statistic="Maximum", label=priority)
        for priority, queue in pool.queues.items()
    ]
    return [_graph(f"Pool {name}: tickets waiting", depth, 2), _graph(f"Pool {name}: oldest ticket, s", oldest, 2)]


def _functions(functions: Mapping[str, lambda_.IFunction]) -> list[cloudwatch.IWidget]:
    errors = [
        function.metric_errors(period=metrics.MINUTE, statistic="Sum", label=name)
        for name, function in functions.items()
    ]
    throttles = [
        function.metric_throttles(period=metrics.MINUTE, statistic="Sum", label=name)
        for name, function in functions.items()
    ]
    return [_graph("Errors of functions", errors, 2), _graph("Throttles of functions", throttles, 2)]


def _trouble(stage: str) -> list[cloudwatch.IWidget]:
    def named(**figures: str) -> list[cloudwatch.IMetric]:
        return [metrics.own(stage, name, "Sum", label) for name, label in figures.items()]

    refused = named(ApiRefused="refused", ApiThrottled="429", ApiFailed="failed", TokensRefused="tokens refused")
    runs = named(RunsCompleted="completed", RunsFailed="failed", RunsCancelled="cancelled", RunsExpired="expired")
    tickets = named(
        TicketsReturned="returned", TicketsRenewed="renewed", TicketsSpent="spent", TicketsPutAside="put aside"
    )
    budgets = named(BudgetsWarned="warned of", BudgetsReached="reached")
    return [
        _graph("Requests refused", refused, 4),
        _graph("Ends of runs", runs, 4),
        _graph("Tickets returned, and dead ones dealt with", tickets, 4),
        _graph("Budgets of tenants", budgets, 4),
    ]


def _machinery(
    functions: Mapping[str, lambda_.IFunction], dead: Mapping[str, sqs.IQueue], api: Api
) -> list[cloudwatch.IWidget]:
    depth = [
        queue.metric_approximate_number_of_messages_visible(period=metrics.MINUTE, statistic="Maximum", label=name)
        for name, queue in dead.items()
    ]
    answers = [
        api.http.metric_count(period=metrics.MINUTE, statistic="Sum", label="requests"),
        api.http.metric_client_error(period=metrics.MINUTE, statistic="Sum", label="4xx"),
        api.http.metric_server_error(period=metrics.MINUTE, statistic="Sum", label="5xx"),
    ]
    behind = functions["changes"].metric(
        "IteratorAge", period=metrics.MINUTE, statistic="Maximum", label="change feed behind, ms"
    )
    return [_graph("Dead letters", depth, 3), _graph("API", answers, 3), _graph("Change feed", [behind], 3)]


def _graph(title: str, left: Sequence[cloudwatch.IMetric], per_row: int) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(left), width=WIDTH // per_row, height=HEIGHT)
