"""What is told of an attempt while it is made: its span, and the figures of its worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tidegate.domain.job import TERMINAL, Job
from tidegate.ports.tracing import Span
from tidegate.service.settle import Settled

from . import tracing
from .attempts import Fault
from .context import Snooze
from .tally import Tally

LEASE_LOST = "lease_lost"
"""The outcome was refused: another attempt, or a request, had decided about the job."""
UNRECORDED = "unrecorded"
"""The outcome could not be recorded: the job runs again once its lease has lapsed."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The attempt stopped because it was asked to; `fault` is what its clean-up raised."""

    fault: Fault | None = None


class Telling:
    """One attempt, from its first moment until it is known how it ended."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.outcome = UNRECORDED

    def settled(self, settled: Settled, outcome: Any) -> None:
        """`outcome` was recorded, and so the job stands now."""
        state = settled.job.state
        waits = "snoozed" if isinstance(outcome, Snooze) else "retry"
        self.outcome = state.value.lower() if state in TERMINAL else waits
        self._failed(outcome)

    def refused(self, outcome: Any) -> None:
        """`outcome` was not recorded."""
        self.outcome = LEASE_LOST
        self._failed(outcome)

    def _failed(self, outcome: Any) -> None:
        fault = outcome.fault if isinstance(outcome, Stopped) else outcome
        if isinstance(fault, Fault):
            self._span.fail(fault.error_type.value, fault.message)


@contextmanager
def told_of(job: Job, tally: Tally) -> Iterator[Telling]:
    """Tell of a claimed job's attempt, which is made within."""
    began = time.monotonic()
    with tracing.of_attempt(job) as span:
        telling = Telling(span)
        try:
            yield telling
        finally:
            tally.ran(job, telling.outcome, time.monotonic() - began)
            span.tell({"tidegate.outcome": telling.outcome})
