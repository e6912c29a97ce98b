"""What CloudWatch shall see once a minute."""

from __future__ import annotations

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from tidegate.domain.job import WAITING, State
from tidegate.ports import Ports

MAX_TENANTS = 100
"""Each costs one read a minute; with more of them the gauges are left out rather than wrong."""


def publish(ports: Ports, stage: str, lag_seconds: float) -> None:
    """Write the clock's lag, and how many jobs wait and run, as one line in CloudWatch's embedded metric format."""
    # The service is given as empty, or its name would become a second dimension.
    metrics = AmazonCloudWatchEMFProvider(namespace="Tidegate", service="", default_dimensions={"stage": stage})
    metrics.add_metric("ClockLag", MetricUnit.Seconds, lag_seconds)
    tenants = {lane.tenant for lane, _ in ports.lanes.all()}
    if len(tenants) <= MAX_TENANTS:
        totals = [ports.figures.read(tenant, "states") for tenant in tenants]
        waiting = sum(total.get(state, 0) for total in totals for state in WAITING)
        active = sum(total.get(State.ACTIVE, 0) for total in totals)
        metrics.add_metric("Ready", MetricUnit.Count, max(0, waiting))
        metrics.add_metric("Active", MetricUnit.Count, max(0, active))
    metrics.flush_metrics()
