"""The figures of a stage: what the program writes itself, and what AWS measures, under one set of names."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from tidegate.execution.emf import NAMESPACE

MINUTE = Duration.minutes(1)
FIVE_MINUTES = Duration.minutes(5)


def own(
    stage: str, name: str, statistic: str = "Sum", label: str | None = None, period: Duration = MINUTE
) -> cloudwatch.Metric:
    """A figure that the functions write; `stage` is its one dimension."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"stage": stage},
        statistic=statistic,
        period=period,
        label=label,
    )


def success_rate(stage: str) -> cloudwatch.MathExpression:
    """Completed jobs per hundred that ended by themselves; cancelled and skipped ones do not count."""
    return cloudwatch.MathExpression(
        expression="IF(completed + failed + expired > 0, 100 * completed / (completed + failed + expired))",
        label="success, %",
        period=FIVE_MINUTES,
        using_metrics={
            "completed": own(stage, "JobsCompleted", period=FIVE_MINUTES),
            "failed": own(stage, "JobsFailed", period=FIVE_MINUTES),
            "expired": own(stage, "JobsExpired", period=FIVE_MINUTES),
        },
    )
