"""What CloudWatch shall see once a minute."""

from __future__ import annotations

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from tidegate.domain.job import WAITING, State
from tidegate.ports import Ports

MAX_TENANTS = 100
"""Each costs one read a minute; with more of them the gauges are left out rather than wrong."""
LATE_SECONDS = 10.0
"""A lag that is worth a line by itself."""
_busy: set[str] = set()
"""Stages that had jobs when this process looked last."""


def publish(ports: Ports, stage: str, lag_seconds: float) -> None:
    """Write the clock's lag, and how many jobs wait and run, as one line in CloudWatch's embedded metric format.

    CloudWatch bills a metric for the hours in which it is written: a stage that lies idle writes none, after the
    zeros that say so.
    """
    gauges = _gauges(ports)
    busy = gauges is None or any(gauges.values())
    if not busy and stage not in _busy and lag_seconds < LATE_SECONDS:
        return
    _busy.add(stage) if busy else _busy.discard(stage)
    # The service is given as empty, or its name would become a second dimension.
    metrics = AmazonCloudWatchEMFProvider(namespace="Tidegate", service="", default_dimensions={"stage": stage})
    metrics.add_metric("ClockLag", MetricUnit.Seconds, lag_seconds)
    for name, value in (gauges or {}).items():
        metrics.add_metric(name, MetricUnit.Count, value)
    metrics.flush_metrics()


def _gauges(ports: Ports) -> dict[str, int] | None:
    """How many jobs wait and run, of all tenants; None where there are too many to ask."""
    tenants = {lane.tenant for lane, _ in ports.lanes.all()}
    if len(tenants) > MAX_TENANTS:
        return None
    totals = [ports.figures.read(tenant, "states") for tenant in tenants]
    waiting = sum(total.get(state, 0) for total in totals for state in WAITING)
    active = sum(total.get(State.ACTIVE, 0) for total in totals)
    return {"Ready": max(0, waiting), "Active": max(0, active)}
