"""A month in which nobody submits anything: what runs by itself, and what is there to be paid for."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.report import Table

from .bill import Prices, Usage, usage
from .flows import Flow

POLLED = "queues that Lambda polls"
_GAUGES = 3
"""Custom metrics that the clock writes each minute, whatever happens."""


def resources() -> Counter[str]:
    """How many resources of each type the stage `dev` of `cdk.json` has. Raises ImportError without the CDK."""
    from infra.synthesis import build, read_context

    with tempfile.TemporaryDirectory() as folder:
        build({**read_context([]), "bundle": False}, Path(folder), check=False).synth()
        (template,) = Path(folder).glob("Tidegate-*.template.json")
        found = json.loads(template.read_text())["Resources"].values()
    types = Counter(each["Type"] for each in found)
    mappings = [each["Properties"] for each in found if each["Type"] == "AWS::Lambda::EventSourceMapping"]
    types[POLLED] = sum("StartingPosition" not in each for each in mappings)  # streams have one, queues have none
    return types


def month(tick: Flow, stage: Counter[str], prices: Prices) -> Usage:
    """Everything an idle month uses."""
    assumed = prices.assumed
    one = usage(tick, "clock", 1, prices)
    used = Usage({thing: amount * assumed["ticks_a_month"] for thing, amount in one.units.items()})
    used.add("sqs_request", stage[POLLED] * assumed["polls_a_minute"] * assumed["ticks_a_month"])
    used.add("alarm_month", stage["AWS::CloudWatch::Alarm"])
    used.add("dashboard_month", stage["AWS::CloudWatch::Dashboard"])
    used.add("metric_month", _GAUGES)
    return used


def table(used: Usage, stage: Counter[str], prices: Prices) -> Table:
    """What an idle month costs, item by item."""
    made = Table("Cloud, counted: an idle month", ("", "used", "$ at list prices", "$ after what is always free"))
    for thing, amount in used.units.items():
        part = Usage({thing: amount})
        made.add(thing, amount, f"{part.dollars(prices):.3f}", f"{part.dollars(prices, free=True):.3f}")
    made.add("together", None, f"{used.dollars(prices):.2f}", f"{used.dollars(prices, free=True):.2f}")
    made.notes.append(
        f"The stage `dev`: {stage[POLLED]} {POLLED}, {stage['AWS::CloudWatch::Alarm']} alarms, "
        f"{stage['AWS::CloudWatch::Dashboard']} dashboard. What is always free is the account's, not the stage's: "
        "it helps whoever has no other use for it."
    )
    return made
