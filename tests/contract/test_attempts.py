"""What handlers tell of their failures and of their progress, and what that costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from support.attempts import serve, stored, submitted, worker
from tidegate import HandlerError, InvalidDataError, PermanentError
from tidegate.domain.errors import InvalidInput
from tidegate.domain.guard import GuardedWrite, Outcome
from tidegate.domain.job import ErrorType, Progress, State
from tidegate.execution.context import JobContext
from tidegate.ports import Ports


@pytest.mark.parametrize(
    ("error", "state", "error_type", "message"),
    [
        (ValueError("x"), State.RETRY, "agent", "ValueError: x"),
        (HandlerError("refused", error_type="database"), State.RETRY, "database", "refused"),
        (HandlerError("full disk", error_type="system"), State.RETRY, "system", "full disk"),
        (HandlerError("who knows"), State.RETRY, "agent", "who knows"),
        (PermanentError("no such page"), State.FAILED, "agent", "no such page"),
        (PermanentError("no such table", error_type="database"), State.FAILED, "database", "no such table"),
        (InvalidDataError("no document given"), State.FAILED, "validation", "no document given"),
    ],
)
def test_a_handler_says_whose_fault_it_was(
    ports: Ports, error: Exception, state: State, error_type: str, message: str
) -> None:
    job = submitted(ports)

    def work(context: JobContext) -> None:
        raise error

    serve(ports, worker(ports, work=work))
    found = stored(ports, job)
    assert (found.state, found.error_type, found.error_message) == (state, error_type, message)
    assert found.failures[0].error_type is ErrorType(error_type)


def test_an_error_type_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="agent, database, validation, timeout, system"):
        HandlerError("x", error_type="weather")


class Counting:
    """A job store that keeps what is written."""

    def __init__(self, jobs: Any) -> None:
        self._jobs = jobs
        self.writes: list[GuardedWrite] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
        self.writes += writes
        applied: Sequence[Outcome] = self._jobs.apply(writes)
        return applied


def test_progress_told_just_before_the_end_goes_with_the_outcome_in_one_write(ports: Ports) -> None:
    counting = Counting(ports.jobs)
    watched = replace(ports, jobs=counting)
    job, failing = submitted(watched), submitted(watched, "fails")

    def work(context: JobContext) -> str:
        context.progress(0.9, "almost")
        return "done"

    def fails(context: JobContext) -> str:
        context.progress(0.3, "page 3")
        raise ValueError("bad page")

    serve(watched, worker(watched, work=work, fails=fails))
    assert stored(ports, job).progress == Progress(0.9, "almost")
    assert stored(ports, failing).progress == Progress(0.3, "page 3")
    assert len(counting.writes) == 4, "two claims and two outcomes"


def test_a_fast_stream_of_progress_costs_two_writes_a_second(ports: Ports) -> None:
    counting = Counting(ports.jobs)
    watched = replace(ports, jobs=counting)
    job = submitted(watched)
    told = 0

    def work(context: JobContext) -> None:
        nonlocal told
        end = time.monotonic() + 2.2
        while time.monotonic() < end:
            told += 1
            context.progress(min(1.0, told / 1e6), str(told))

    begin = time.monotonic()
    serve(watched, worker(watched, work=work))
    most = (time.monotonic() - begin) / 0.5 + 1
    progress = [write for write in counting.writes if "progress" in write.values and "state" not in write.values]
    assert 1 <= len(progress) <= most < told
    assert stored(ports, job).progress == Progress(min(1.0, told / 1e6), str(told))


def test_progress_is_stored_when_the_call_returns_once_the_attempt_has_run_a_while(ports: Ports) -> None:
    """So a process that dies on its next step leaves behind how far it was."""
    job = submitted(ports)
    seen: list[Progress | None] = []

    def work(context: JobContext) -> None:
        time.sleep(0.6)
        context.progress(0.5, "about to crash")
        seen.append(stored(ports, job).progress)

    serve(ports, worker(ports, work=work))
    assert seen == [Progress(0.5, "about to crash")]
