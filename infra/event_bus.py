"""The bus that every transition of a job is announced on."""

from __future__ import annotations

from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.stage import StageConfig


def event_bus(scope: Construct, name: str, *, stage: StageConfig, key: kms.IKey | None) -> events.EventBus | None:
    """Make the bus; None where the stage wants no events. Only this account reaches it: it has no policy of its own."""
    if not stage.events:
        return None
    return events.EventBus(
        scope,
        name,
        event_bus_name=f"tidegate-{stage.name}",
        description=f"Tidegate {stage.name}: every transition of every job",
        kms_key=key,
    )
