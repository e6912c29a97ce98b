"""`Logs`, and the reading and erasing of job logs upon it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contract.logbook import LOG, TEXTS, chunk, messages, page
from support.attempts import ADMIN, serve, submitted, worker
from support.clock import START_MS, Clock
from tidegate.domain.caller import Caller
from tidegate.domain.errors import Forbidden, InvalidInput, NotFound
from tidegate.domain.job import Job
from tidegate.domain.logs import (
    TABLE_LINES,
    Level,
    LogPlace,
    log_of,
)
from tidegate.execution.context import JobContext
from tidegate.ports import Ports
from tidegate.service.control import erase
from tidegate.service.read_log import read_log
from tidegate.service.write_log import log_writer


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
