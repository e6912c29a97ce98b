"""A month in which nobody submits anything: what runs by itself, and what is there to be paid for."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.report import Table

from .bill import Prices, Usage, usage
from .flows import Flow

ROOT = Path(__file__).parents[2]
POLLED = "queues that Lambda polls"
STAGES = ("dev", "prod")
"""Of `cdk.json`: one that is lean and sleeps, one that is watched closely."""


def resources(stage: str) -> Counter[str]:
    """How many resources of each type a stage of `cdk.json` has. Raises ImportError without the CDK."""
    from infra.stage import StageConfig
    from infra.synthesis import build, read_context

    context = {**read_context([]), "bundle": False, "stage": stage}
    with tempfile.TemporaryDirectory() as folder:
        build(context, Path(folder), check=False).synth()
        (template,) = Path(folder).glob("Tidegate-*.template.json")
        found = json.loads(template.read_text())["Resources"].values()
    types = Counter(each["Type"] for each in found)
    mappings = [each["Properties"] for each in found if each["Type"] == "AWS::Lambda::EventSourceMapping"]
    asleep = StageConfig.from_context(stage, context["stages"], ROOT).sleep
    # Streams have a starting position, queues have none. A stage that sleeps has all of them disabled.
    types[POLLED] = 0 if asleep else sum("StartingPosition" not in each for each in mappings)
    return types


def month(tick: Flow, stage: Counter[str], prices: Prices) -> Usage:
    """Everything an idle month uses."""
    assumed = prices.assumed
    one = usage(tick, "clock", 1, prices)
    used = Usage({thing: amount * assumed["ticks_a_month"] for thing, amount in one.units.items()})
    used.add("sqs_request", stage[POLLED] * assumed["polls_a_minute"] * assumed["ticks_a_month"])
    used.add("alarm_month", stage["AWS::CloudWatch::Alarm"])
    used.add("dashboard_month", stage["AWS::CloudWatch::Dashboard"])
    used.add("kms_key_month", stage["AWS::KMS::Key"])
    return used


def table(name: str, used: Usage, stage: Counter[str], prices: Prices) -> Table:
    """What an idle month of a stage costs, item by item."""
    made = Table(
        f"Cloud, counted: an idle month of the stage {name}",
        ("", "used", "$ at list prices", "$ after what is always free"),
    )
    for thing, amount in used.units.items():
        part = Usage({thing: amount})
        made.add(thing, amount, f"{part.dollars(prices):.3f}", f"{part.dollars(prices, free=True):.3f}")
    made.add("together", None, f"{used.dollars(prices):.2f}", f"{used.dollars(prices, free=True):.2f}")
    made.notes.append(
        f"{stage[POLLED]} {POLLED}, {stage['AWS::CloudWatch::Alarm']} alarms, "
        f"{stage['AWS::CloudWatch::Dashboard']} dashboards. Metrics are billed for the hours in which they are "
        "written: none are. What is always free is the account's, not the stage's: it helps whoever has no other use "
        "for it."
    )
    return made
