"""What handlers tell, and the writing of it upon `Logs`."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from contract.logbook import Broken, Failing, Untouchable, messages, page
from support.attempts import serve, stored, submitted, worker
from support.clock import Clock
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Job, State
from tidegate.domain.logs import (
    MAX_LINE_BYTES,
    TABLE_LINES,
    Level,
    LogUsage,
    level_named,
    line_of,
    log_of,
)
from tidegate.execution.context import JobContext
from tidegate.ports import Ports
from tidegate.service import write_log
from tidegate.service.write_log import log_writer


class TestHandlers:
    def test_what_a_handler_logs_is_kept_with_level_time_and_attempt(self, ports: Ports, clock: Clock) -> None:
        job = submitted(ports, retry_delay=1)

        def work(context: JobContext) -> str:
            context.log.debug("page %d of %d", 1, 2)
            clock.advance(1.5)
            context.log.info("epoch 1")
            context.log.warning("memory at 85%")
            context.log.critical("no way back")
            if context.attempt == 1:
                raise ValueError("bad page")
            return "done"

        runner = worker(ports, work=work)
        serve(ports, runner)
        clock.advance(2)
        serve(ports, runner)
        found = page(ports, job)
        assert [(told.attempt, str(told.line.level), told.line.message) for told in found.lines] == [
            (attempt, level, message)
            for attempt in (1, 2)
            for level, message in (
                ("DEBUG", "page 1 of 2"),
                ("INFO", "epoch 1"),
                ("WARNING", "memory at 85%"),
                ("ERROR", "no way back"),
            )
        ]
        assert [told.line.at - job.created_at for told in found.lines[:2]] == [0, 1_500]
        assert found.ended

    def test_a_handler_that_logs_nothing_costs_nothing(self, ports: Ports) -> None:
        job = submitted(ports)
        silent = replace(ports, logs=Untouchable())
        serve(silent, worker(silent, work=lambda context: "done"))
        assert stored(ports, job).state is State.COMPLETED

    def test_an_exception_is_kept_with_its_traceback(self, ports: Ports) -> None:
        job = submitted(ports)

        def work(context: JobContext) -> None:
            try:
                raise ValueError("bad page")
            except ValueError:
                context.log.exception("page %d", 3)

        serve(ports, worker(ports, work=work))
        (text,) = messages(page(ports, job))
        assert text.startswith("page 3\nTraceback (most recent call last):")
        assert text.endswith("ValueError: bad page")

    def test_the_lines_of_a_long_attempt_are_there_while_it_runs(self, ports: Ports) -> None:
        job = submitted(ports)
        seen: list[str] = []

        def work(context: JobContext) -> None:
            context.log.info("begun")
            end = time.monotonic() + 5
            while not seen and time.monotonic() < end:
                time.sleep(0.05)
                seen.extend(messages(page(ports, job)))

        serve(ports, worker(ports, work=work))
        assert seen == ["begun"]

    def test_a_job_ends_as_it_should_when_its_log_cannot_be_stored(
        self, ports: Ports, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = submitted(ports)
        broken = replace(ports, logs=Broken())

        def work(context: JobContext) -> str:
            context.log.info("lost")
            return "done"

        serve(broken, worker(broken, work=work))
        assert stored(ports, job).result == "done"


class TestWriter:
    def test_lines_are_gathered_for_a_second(self, ports: Ports, running: Job) -> None:
        times = [100.0]
        writer = log_writer(ports, running, lambda: times[0])
        assert not writer.is_due
        writer.add(Level.INFO, "a")
        writer.add(Level.INFO, "b")
        assert not writer.is_due
        times[0] += 1
        assert writer.is_due
        assert writer.flush()
        assert not writer.is_due
        (only,) = ports.logs.read(log_of(running), None, 10)
        assert [line.message for line in only.lines] == ["a", "b"]

    def test_beyond_a_thousand_lines_the_blob_store_takes_over(self, ports: Ports, running: Job) -> None:
        writer = log_writer(ports, running)
        texts = [f"line {number}" for number in range(TABLE_LINES + 150)]
        for start in range(0, len(texts), 100):
            for text in texts[start : start + 100]:
                writer.add(Level.INFO, text)
            assert writer.flush()
        chunks = ports.logs.read(log_of(running), None, 100)
        assert [each.blob is None for each in chunks] == [True] * 10 + [False] * 2
        assert messages(page(ports, running, limit=5_000)) == texts

    def test_beyond_256_kb_the_blob_store_takes_over(self, ports: Ports, running: Job) -> None:
        writer = log_writer(ports, running)
        for number in range(80):
            writer.add(Level.INFO, f"{number:02d}" + "x" * 8_000)
        writer.close()
        chunks = ports.logs.read(log_of(running), None, 100)
        assert [each.blob is None for each in chunks] == [True, False, False]
        assert [text[:2] for text in messages(page(ports, running))] == [f"{number:02d}" for number in range(80)]

    def test_control_characters_do_not_make_an_item_too_large(self, ports: Ports, running: Job) -> None:
        """In JSON they take six bytes each: 100 lines of 8 KB would be 4.9 MB."""
        writer = log_writer(ports, running)
        for _ in range(100):
            writer.add(Level.INFO, "\x00" * 8_000)
        writer.close()
        assert len(page(ports, running).lines) == 100

    def test_the_next_attempt_goes_on_with_the_budget(self, ports: Ports, running: Job) -> None:
        for attempt in (1, 2):
            writer = log_writer(ports, replace(running, attempt=attempt))
            for number in range(600):
                writer.add(Level.INFO, str(number))
            writer.close()
        first, second = ports.logs.read(log_of(running), None, 10)
        assert (first.blob is None, second.blob is None) == (True, False)
        assert second.usage.lines == 1_200
        assert [told.attempt for told in page(ports, running, limit=2_000).lines] == [1] * 600 + [2] * 600

    def test_a_writer_goes_on_where_another_of_the_same_attempt_ended(self, ports: Ports, running: Job) -> None:
        for text in "abc":
            writer = log_writer(ports, running, resumed=True)
            writer.add(Level.INFO, text)
            writer.close()
        assert messages(page(ports, running)) == ["a", "b", "c"]

    def test_over_the_hard_cap_lines_are_counted_and_a_last_line_says_so(
        self, ports: Ports, running: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tidegate.domain.logs.MAX_LINES", 10)
        writer = log_writer(ports, running)
        for number in range(35):
            writer.add(Level.INFO, str(number))
            if number % 7 == 6:
                writer.flush()
        writer.close()
        told = messages(page(ports, running))
        assert told[:-1] == [str(number) for number in range(10)]
        assert told[-1].startswith("25 lines were dropped: ")

    def test_a_chunk_that_failed_is_tried_again_unchanged(self, ports: Ports, running: Job) -> None:
        failing = Failing(ports.logs, 1)
        writer = log_writer(failing.among(ports), running)
        writer.add(Level.INFO, "a")
        assert not writer.flush()
        writer.add(Level.INFO, "b")
        assert writer.flush()
        chunks = ports.logs.read(log_of(running), None, 10)
        assert [[line.message for line in each.lines] for each in chunks] == [["a"], ["b"]]

    def test_a_write_that_took_effect_unreported_doubles_nothing(self, ports: Ports, running: Job) -> None:
        failing = Failing(ports.logs, 1, after=True)
        writer = log_writer(failing.among(ports), running)
        writer.add(Level.INFO, "a")
        assert not writer.flush()
        writer.add(Level.INFO, "b")
        writer.close()
        assert messages(page(ports, running)) == ["a", "b"]

    def test_while_the_store_is_away_memory_is_bounded_and_what_was_lost_is_told(
        self, ports: Ports, running: Job
    ) -> None:
        failing = Failing(ports.logs, 1)
        writer = log_writer(failing.among(ports), running)
        for _ in range(200):
            writer.add(Level.INFO, "x" * 8_000)
        writer.close()
        told = messages(page(ports, running))
        assert told[-1].endswith("to be stored")
        assert int(told[-1].split()[0]) == 200 - (len(told) - 1)
        assert failing.calls < 10, "a handler does not wait for the store at every line"

    def test_days_of_talking_make_few_chunks(self) -> None:
        assert LogUsage().gather_seconds == 1
        assert LogUsage(overflows=1).gather_seconds == 10
        assert LogUsage(overflows=950).gather_seconds == 100

    def test_a_long_line_is_cut_between_characters(self) -> None:
        line = line_of(0, Level.INFO, "🌊" * MAX_LINE_BYTES)
        assert len(line.message.encode()) <= MAX_LINE_BYTES
        assert line.message.endswith("🌊 … (cut)")
        assert line_of(0, Level.INFO, "half \ud83c").message == "half ?"

    def test_levels_have_their_usual_names(self) -> None:
        words = ("debug", "Info", "WARN", "warning", "critical")
        assert [level_named(word) for word in words] == ["DEBUG", "INFO", "WARNING", "WARNING", "ERROR"]
        with pytest.raises(InvalidInput, match="must be one of DEBUG"):
            level_named("loud")


def test_what_is_left_at_the_end_is_not_tried_for_long() -> None:
    assert (1 + len(write_log._CLOSE_PAUSES)) * write_log._LOCK_SECONDS <= 5
