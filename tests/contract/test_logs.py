"""`Logs`, and the writing, reading and erasing of job logs upon it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from support.attempts import ADMIN, serve, stored, submitted, worker
from support.clock import START_MS, Clock
from support.jobs import make_job
from tidegate.domain.caller import Caller
from tidegate.domain.errors import Forbidden, InvalidInput, NotFound, Unavailable
from tidegate.domain.job import Job, State
from tidegate.domain.logs import (
    MAX_LINE_BYTES,
    TABLE_LINES,
    Level,
    LogChunk,
    LogLine,
    LogOf,
    LogPlace,
    LogUsage,
    level_named,
    line_of,
    log_of,
)
from tidegate.execution.context import JobContext
from tidegate.ports import Ports
from tidegate.service import write_log
from tidegate.service.control import erase
from tidegate.service.read_log import LogPage, read_log
from tidegate.service.write_log import log_writer

LOG = LogOf("acme", "report#1", START_MS)
TEXTS = ("", "grüße 🌊", 'a "quote"\\', "two\nlines", "\x00\x1b[31m")


def chunk(attempt: int, number: int, *texts: str, blob: str | None = None, **usage: int) -> LogChunk:
    lines = tuple(LogLine(START_MS + index, Level.INFO, text) for index, text in enumerate(texts))
    return LogChunk(LogPlace(attempt, number), lines, blob, LogUsage(**usage))


class TestPort:
    def test_a_chunk_is_read_as_it_was_stored(self, ports: Ports) -> None:
        made = chunk(1, 1, *TEXTS, lines=5, size=200)
        beside = chunk(1, 2, blob="acme/blob", lines=7, size=300, overflows=1)
        for each in (made, beside):
            ports.logs.append(LOG, each, None)
        assert list(ports.logs.read(LOG, None, 10)) == [made, beside]

    def test_chunks_come_by_attempt_and_number(self, ports: Ports) -> None:
        places = [(1, 1), (1, 2), (1, 10), (2, 1), (10, 1), (11, 100)]
        for place in reversed(places):
            ports.logs.append(LOG, chunk(*place, "x"), None)
        assert [each.place for each in ports.logs.read(LOG, None, 100)] == places
        assert [each.place for each in ports.logs.read(LOG, LogPlace(1, 2), 2)] == places[2:4]
        assert list(ports.logs.read(LOG, LogPlace(11, 100), 2)) == []

    def test_the_last_chunk_is_known(self, ports: Ports) -> None:
        assert ports.logs.last(LOG) is None
        for place in ((2, 1), (1, 7)):
            ports.logs.append(LOG, chunk(*place, "x"), None)
        last = ports.logs.last(LOG)
        assert last is not None
        assert last.place == (2, 1)

    def test_the_same_chunk_twice_is_one(self, ports: Ports) -> None:
        for _ in range(2):
            ports.logs.append(LOG, chunk(1, 1, "x"), None)
        assert len(ports.logs.read(LOG, None, 10)) == 1

    def test_a_place_that_is_taken_stays_as_it_is(self, ports: Ports) -> None:
        assert ports.logs.append_if_free(LOG, chunk(1, 1, "first"), START_MS + 1)
        assert not ports.logs.append_if_free(LOG, chunk(1, 1, "second"), None)
        assert ports.logs.append_if_free(LOG, chunk(1, 2, "third"), None)
        assert [each.lines[0].message for each in ports.logs.read(LOG, None, 10)] == ["first", "third"]

    def test_logs_are_apart_by_tenant_job_and_the_jobs_birth(self, ports: Ports) -> None:
        logs = [LOG, LOG._replace(tenant="zeta"), LOG._replace(job_id="report"), LOG._replace(created_at=START_MS + 1)]
        for number, log in enumerate(logs, start=1):
            ports.logs.append(log, chunk(1, number, "x"), None)
        for number, log in enumerate(logs, start=1):
            assert [each.place.number for each in ports.logs.read(log, None, 10)] == [number]
            last = ports.logs.last(log)
            assert last is not None
            assert last.place.number == number

    def test_all_logs_of_an_id_are_erased_and_no_other(self, ports: Ports) -> None:
        older, other = LOG._replace(created_at=START_MS - 9), LOG._replace(job_id="report")
        for number in range(1, 61):
            ports.logs.append(LOG, chunk(1, number, "x"), None)
        for log in (older, other):
            ports.logs.append(log, chunk(1, 1, "x"), None)
        for _ in range(2):
            ports.logs.erase("acme", "report#1")
        assert [len(ports.logs.read(log, None, 10)) for log in (LOG, older, other)] == [0, 0, 1]


def page(ports: Ports, job: Job, **asked: Any) -> LogPage:
    return read_log(ports, ADMIN, job.id, **{"after": None, "limit": 1_000, **asked})


def messages(found: LogPage) -> list[str]:
    return [told.line.message for told in found.lines]


@pytest.fixture
def running(ports: Ports) -> Job:
    """A job in its first attempt."""
    job = make_job("j-1", state=State.ACTIVE, attempt=1, tenant="main", owner="admin")
    ports.jobs.create([job])
    return job


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


class Untouchable:
    """`Logs` that must not be used."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"logs.{name} was used")


class Broken:
    """`Logs` out of reach."""

    def __getattr__(self, name: str) -> Any:
        raise Unavailable


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


class Failing:
    """`Logs` whose first appends fail, before or after they took effect."""

    def __init__(self, logs: Any, times: int, *, after: bool = False) -> None:
        self._logs = logs
        self._left = times
        self._after = after
        self.calls = 0

    def among(self, ports: Ports) -> Ports:
        """The ports with this one among them."""
        return replace(ports, logs=cast("Any", self))

    def append(self, *arguments: Any) -> None:
        self.calls += 1
        if self._left and not self._after:
            self._left -= 1
            raise Unavailable
        self._logs.append(*arguments)
        if self._left:
            self._left -= 1
            raise Unavailable

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logs, name)


class TestReading:
    @pytest.fixture
    def told(self, ports: Ports, running: Job, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Lets the job tell lines, as one chunk."""
        writer = log_writer(ports, running)

        def tell(*texts: str, level: Level = Level.INFO) -> None:
            for text in texts:
                writer.add(level, text)
            writer.flush()

        return tell

    def test_a_cursor_goes_on_where_the_page_ended(self, ports: Ports, running: Job, told: Callable[..., None]) -> None:
        told("a", "b", "c")
        told("d", "e")
        seen: list[list[str]] = []
        found = page(ports, running, limit=2)
        while True:
            seen.append(messages(found))
            if not found.more:
                break
            found = page(ports, running, limit=2, after=found.cursor)
        assert seen == [["a", "b"], ["c", "d"], ["e"]]
        told("f")
        assert messages(page(ports, running, after=found.cursor)) == ["f"]

    def test_a_page_that_ends_with_the_log_says_that_there_is_no_more(
        self, ports: Ports, running: Job, told: Callable[..., None]
    ) -> None:
        told("a", "b")
        found = page(ports, running, limit=2)
        assert (messages(found), found.more, found.ended) == (["a", "b"], False, False)
        again = page(ports, running, limit=2, after=found.cursor)
        assert (messages(again), again.cursor, again.more) == ([], found.cursor, False)

    def test_lines_of_little_weight_are_left_out(self, ports: Ports, running: Job, told: Callable[..., None]) -> None:
        for level in Level:
            told(level.value, level=level)
        assert messages(page(ports, running, level=Level.WARNING)) == ["WARNING", "ERROR"]

    def test_a_rare_level_in_a_long_log_takes_several_pages(
        self, ports: Ports, running: Job, told: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tidegate.service.read_log._MAX_CHUNKS", 3)
        for number in range(7):
            told(str(number))
        told("at last", level=Level.ERROR)
        cursor, pages, found = None, 0, list[str]()
        while True:
            one = page(ports, running, level=Level.ERROR, after=cursor)
            pages, cursor, found = pages + 1, one.cursor, found + messages(one)
            if not one.more:
                break
        assert (pages, found) == (3, ["at last"])

    @pytest.mark.parametrize("cursor", ["", "x", "1.1", "1.1.1.1", "-1.1.1", "1.1.٣", "9999999999.1.1"])
    def test_a_cursor_from_elsewhere_is_refused(self, ports: Ports, running: Job, cursor: str) -> None:
        with pytest.raises(InvalidInput):
            page(ports, running, after=cursor)

    def test_logs_are_seen_by_those_who_see_the_job(self, ports: Ports, running: Job) -> None:
        for caller, error in (
            (Caller("main", "bob", frozenset({"read"})), NotFound),
            (Caller("other", "admin", frozenset({"admin"})), NotFound),
            (Caller("main", "admin", frozenset({"submit"})), Forbidden),
        ):
            with pytest.raises(error):
                read_log(ports, caller, running.id, after=None, limit=1)


def test_a_log_goes_with_its_job_and_a_new_job_of_the_id_has_its_own(ports: Ports, clock: Clock) -> None:
    def work(context: JobContext) -> None:
        for number in range(TABLE_LINES + 1):
            context.log.info("%d", number)

    job = submitted(ports, job_id="report")
    serve(ports, worker(ports, work=work))
    (only,) = ports.logs.read(log_of(job), None, 10)
    assert only.blob is not None
    erase(ports, ADMIN, job.id)
    assert list(ports.logs.read(log_of(job), None, 10)) == []
    with pytest.raises(NotFound):
        ports.blobs.get(only.blob)
    clock.advance(1)
    again = submitted(ports, job_id="report")
    assert messages(page(ports, again)) == []


def test_the_log_of_a_job_whose_time_to_live_passed_is_not_shown_for_a_new_job_of_its_id(
    ports: Ports, clock: Clock
) -> None:
    job = submitted(ports, job_id="report", keep_until=clock.now() + 60_000)
    serve(ports, worker(ports, work=lambda context: context.log.info("old")))
    assert messages(page(ports, job)) == ["old"]
    clock.advance(61)
    again = submitted(ports, job_id="report")
    assert again.created_at != job.created_at
    assert messages(page(ports, again)) == []


def test_what_is_left_at_the_end_is_not_tried_for_long() -> None:
    assert (1 + len(write_log._CLOSE_PAUSES)) * write_log._LOCK_SECONDS <= 5
