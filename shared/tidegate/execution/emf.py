"""Figures for CloudWatch: lines in its embedded metric format, which it turns into metrics, off the path of any job.

CloudWatch bills a metric by its name and dimensions, for the hours in which it is written. So each has one
dimension, the stage, and what did not happen is not written.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence

NAMESPACE = "Tidegate"
COUNT, SECONDS, MILLISECONDS = "Count", "Seconds", "Milliseconds"
FIGURES: Mapping[str, str] = {
    # each minute, as the clock finds it, while a stage has jobs
    "ClockLag": SECONDS,
    "Ready": COUNT,
    "Active": COUNT,
    "WaitingCritical": COUNT,
    "WaitingHigh": COUNT,
    "WaitingNormal": COUNT,
    "WaitingLow": COUNT,
    "Scheduled": COUNT,
    "Workers": COUNT,
    "OldestJob": SECONDS,
    # as the change feed sees it
    "JobsCreated": COUNT,
    "JobsStarted": COUNT,
    "JobsRetried": COUNT,
    "JobsCompleted": COUNT,
    "JobsFailed": COUNT,
    "JobsCancelled": COUNT,
    "JobsExpired": COUNT,
    "JobDuration": MILLISECONDS,
    "SlaAtRisk": COUNT,
    "SlaSoftMissed": COUNT,
    "SlaHardMissed": COUNT,
    "SlaMet": COUNT,
    "BudgetsWarned": COUNT,
    "BudgetsReached": COUNT,
    # of each invocation, where there is something to tell
    "JobWait": MILLISECONDS,
    "TicketsReturned": COUNT,
    "TicketsRenewed": COUNT,
    "TicketsSpent": COUNT,
    "TicketsPutAside": COUNT,
    "RunsCompleted": COUNT,
    "RunsFailed": COUNT,
    "RunsCancelled": COUNT,
    "RunsExpired": COUNT,
    "ApiRefused": COUNT,
    "ApiThrottled": COUNT,
    "ApiFailed": COUNT,
    "TokensRefused": COUNT,
}
"""Every figure that the functions write, and its unit."""
_MOST_VALUES = 100
"""Values of one figure that a line may have."""


def publish(stage: str | None, figures: Mapping[str, float | Sequence[float]]) -> None:
    """Write figures of a stage: numbers, and lists of numbers of which CloudWatch makes percentiles.

    Nothing is written for an empty list, nor where `stage` is None: the embedded home has `GET /metrics`. Raises
    LookupError for a figure that `FIGURES` does not have.
    """
    if stage is None:
        return
    values = {name: [value] if isinstance(value, int | float) else list(value) for name, value in figures.items()}
    for start in range(0, max(map(len, values.values()), default=0), _MOST_VALUES):
        part = {name: found[start : start + _MOST_VALUES] for name, found in values.items()}
        sys.stdout.write(_line(stage, {name: found for name, found in part.items() if found}))
    sys.stdout.flush()


def _line(stage: str, values: Mapping[str, Sequence[float]]) -> str:
    described = [{"Name": name, "Unit": FIGURES[name]} for name in values]
    about = {"Namespace": NAMESPACE, "Dimensions": [["stage"]], "Metrics": described}
    aws = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [about]}
    return json.dumps({"_aws": aws, "stage": stage, **values}, separators=(",", ":")) + "\n"
