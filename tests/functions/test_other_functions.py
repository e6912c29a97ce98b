"""The authorizer, the clock, the change feed and the dead letters, beyond their samples."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from gateway import metrics_in, sample
from tidegate_functions.authorizer.handler import handler as authorize
from tidegate_functions.changes.handler import handler as change
from tidegate_functions.clock.gauges import LATE_SECONDS, MAX_TENANTS
from tidegate_functions.clock.handler import handler as tick
from tidegate_functions.dead_letters.handler import handler as bury

from home import ADMIN, Home
from tidegate import runtime
from tidegate.domain.errors import InvalidInput, Unavailable
from tidegate.domain.job import State
from tidegate.domain.ticket import Lane
from tidegate.execution.discreet import FunctionFailed
from tidegate.ports import Timer, Token
from tidegate.service import tick as service
from tidegate.service.tokens import new_token, revoke_token


@pytest.fixture
def app(home: Home) -> Iterator[runtime.App]:
    with runtime.use(home.app) as made:
        yield made


def issued(app: runtime.App, tenant: str = "main", seconds: float | None = None) -> tuple[str, Token]:
    """A stored token of ada, and its clear text."""
    clear, token = new_token(
        app.ports.now(), tenant=tenant, user="ada", scopes=["submit", "read"], expires_in_seconds=seconds
    )
    app.ports.tokens.put(token)
    return clear, token


class Broken:
    """A port that is out of reach."""

    def __getattr__(self, name: str) -> Any:
        raise Unavailable


# --- the authorizer


def asked(header: str | None) -> Any:
    event = sample("authorizer")
    event["headers"] = {} if header is None else {"Authorization": header}
    return authorize(event, None)


def test_a_token_tells_who_its_bearer_is(app: runtime.App) -> None:
    clear, token = issued(app, tenant="acme")
    context = {"tenant": "acme", "user": "ada", "scopes": "read submit", "via": f"token:{token.id}"}
    assert asked(f"Bearer {clear}") == {"isAuthorized": True, "context": context}
    assert asked(f"bearer  {clear}") == {"isAuthorized": True, "context": context}


def test_wrong_tokens_are_refused_alike_and_never_logged(app: runtime.App, caplog: pytest.LogCaptureFixture) -> None:
    clear, token = issued(app)
    gone, other = issued(app)
    revoke_token(app.ports, ADMIN, other.id)
    wrong = [None, "", clear, "Bearer", "Basic " + clear, f"Bearer {clear}x", f"Bearer {clear[:-1]}", f"Bearer {gone}"]
    wrong += [f"Bearer tg_{token.id}_{'A' * 43}", f"Bearer tg_aaaaaaaaaaaa_{clear[-43:]}"]
    with caplog.at_level(logging.DEBUG):
        assert [asked(header) for header in wrong] == [{"isAuthorized": False}] * len(wrong)
    assert clear[-43:] not in caplog.text


def test_an_expired_token_is_refused(app: runtime.App, home: Home) -> None:
    clear, _ = issued(app, seconds=60)
    assert asked(f"Bearer {clear}")["isAuthorized"] is True
    home.clock.advance(60)
    assert asked(f"Bearer {clear}") == {"isAuthorized": False}


def test_the_last_use_is_written_once_an_hour_and_by_valid_tokens_alone(
    app: runtime.App, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear, token = issued(app)
    written: list[int] = []
    note_use = app.ports.tokens.note_use

    def noted(_: object, token_id: str, now: int) -> None:
        written.append(now)
        note_use(token_id, now)

    monkeypatch.setattr(type(app.ports.tokens), "note_use", noted)
    asked(f"Bearer tg_{token.id}_{'A' * 43}")
    assert written == []
    start = home.clock.now()
    for _ in range(9):
        asked(f"Bearer {clear}")
        home.clock.advance(900)
    assert written == [start, start + 3_600_000, start + 7_200_000]
    stored = app.ports.tokens.get(token.id)
    assert stored == replace(token, last_used_at=written[-1])


def test_a_use_that_cannot_be_noted_is_no_reason_to_refuse(app: runtime.App, monkeypatch: pytest.MonkeyPatch) -> None:
    clear, _ = issued(app)

    def busy(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(type(app.ports.tokens), "note_use", busy)
    assert asked(f"Bearer {clear}")["isAuthorized"] is True


def test_a_store_out_of_reach_is_an_error_and_no_refusal(home: Home) -> None:
    """API Gateway remembers a refusal for its cache time, not an error."""
    with runtime.use(replace(home.app, ports=replace(home.ports, tokens=Broken()))), pytest.raises(Unavailable):
        asked(f"Bearer tg_aaaaaaaaaaaa_{'A' * 43}")


# --- the clock


def clock_event(home: Home, detail: Any = None) -> dict[str, Any]:
    event = sample("clock")
    return {**event, "time": "2033-05-18T08:00:00Z", "detail": {} if detail is None else detail}


def test_the_minute_finds_a_job_without_a_ticket(app: runtime.App, home: Home) -> None:
    job = home.submit()
    ticket = home.receive()
    assert ticket is not None
    app.ports.tickets.finish([ticket])
    home.clock.advance(61)
    assert tick(clock_event(home), None) == {
        "woken": 0,
        "reticketed": 1,
        "recovered": 0,
        "expired": 0,
        "retired": 0,
        "fired": 0,
        "at_risk": 0,
        "missed_soft": 0,
        "missed_hard": 0,
        "freed": 0,
        "lag_seconds": 61.0,
    }
    found = home.receive()
    assert found is not None
    assert job.id in found.body


def test_a_tick_that_fails_in_part_tells_its_figures_and_fails(
    cloud: runtime.App, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gauges do not depend on every part; and EventBridge calls a failed function once more."""

    def fail(*_: Any) -> None:
        raise ValueError("a bug")

    home.submit()  # an idle stage writes no figures
    home.pump()
    capsys.readouterr()
    monkeypatch.setattr(service, "retire", fail)
    with pytest.raises(FunctionFailed, match=r"^ValueError$"):
        tick(clock_event(home), None)
    assert '"ClockLag"' in capsys.readouterr().out


def test_each_tick_looks_ahead_until_the_next(app: runtime.App, home: Home) -> None:
    home.submit(start_after=home.clock.now() + 3_600_000)
    home.clock.advance(3_590)
    assert tick(clock_event(home, {"period_seconds": 1}), None)["woken"] == 0
    assert tick(clock_event(home), None)["woken"] == 1


@pytest.mark.parametrize("period", ["60", 0, -1, True, None, 3601, float("nan")])
def test_a_period_that_is_none_is_refused(app: runtime.App, home: Home, period: Any) -> None:
    with pytest.raises(InvalidInput, match="period_seconds"):
        tick(clock_event(home, {"period_seconds": period}), None)


def test_the_embedded_clock_writes_no_figures(app: runtime.App, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    tick(clock_event(home), None)
    assert capsys.readouterr().out == ""


def test_the_clock_writes_its_lag_and_gauges(
    cloud: runtime.App, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        home.submit()
    home.pump()
    home.clock.advance(2)
    capsys.readouterr()
    tick(clock_event(home), None)
    (written,) = metrics_in(capsys.readouterr().out)
    (described,) = written["_aws"]["CloudWatchMetrics"]
    assert (described["Namespace"], described["Dimensions"]) == ("Tidegate", [["stage"]])
    assert described["Metrics"] == [
        {"Name": "ClockLag", "Unit": "Seconds"},
        {"Name": "Ready", "Unit": "Count"},
        {"Name": "Active", "Unit": "Count"},
        *({"Name": f"Waiting{band}", "Unit": "Count"} for band in ("Critical", "High", "Normal", "Low")),
        {"Name": "Scheduled", "Unit": "Count"},
        {"Name": "Workers", "Unit": "Count"},
        {"Name": "OldestJob", "Unit": "Seconds"},
    ]
    assert written["OldestJob"] == [2.0]
    assert (written["stage"], written["ClockLag"], written["Ready"], written["Active"]) == ("dev", [2.0], [3.0], [0.0])
    assert (written["WaitingNormal"], written["WaitingHigh"], written["Scheduled"]) == ([3], [0], [0])


def test_an_idle_stage_writes_nothing_after_the_zeros_that_say_so(
    cloud: runtime.App, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    tick(clock_event(home), None)
    assert capsys.readouterr().out == ""
    home.submit(job_id="j")
    home.pump()
    tick(clock_event(home), None)
    home.drain(home.runner(work=lambda _: None))
    home.pump()
    tick(clock_event(home), None)
    tick(clock_event(home), None)
    ready = [written["Ready"] for written in metrics_in(capsys.readouterr().out) if "Ready" in written]
    assert ready == [[1.0], [0.0]]
    late = clock_event(home)
    home.clock.advance(LATE_SECONDS)
    tick(late, None)
    (written,) = metrics_in(capsys.readouterr().out)
    assert written["ClockLag"] == [LATE_SECONDS]


def test_gauges_are_left_out_when_they_would_cost_too_many_reads(
    cloud: runtime.App, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(MAX_TENANTS + 1):
        cloud.ports.lanes.touch(Lane(f"t{number}", "default"), home.clock.now())
    tick(clock_event(home), None)
    (written,) = metrics_in(capsys.readouterr().out)
    assert "ClockLag" in written
    assert "Ready" not in written


# --- the change feed


def test_a_batch_that_comes_twice_is_counted_once(app: runtime.App) -> None:
    for _ in range(2):
        assert change(sample("changes"), None) == {"batchItemFailures": []}
    assert app.ports.figures.read("main", "states") == {"COMPLETED": 1, "ACTIVE": 1}
    hour = app.ports.figures.read("main", "hour#2026-01-31T12")
    starts = {"s0#default": 2, "f0#default": 1_769_860_801_000}
    slots = {"completed0": 1, "d58": 1}
    assert hour == {"CREATED": 2, "ACTIVE": 2, "COMPLETED": 1, "run_ms": 25_500, **starts, **slots}


def test_only_what_still_runs_at_the_end_of_a_batch_is_watched(app: runtime.App) -> None:
    change(sample("changes"), None)
    assert app.ports.timers.due(2_000_000_000_000, 10) == [Timer(1_769_860_861_000, "main", "report-2026-02", 1)]


def test_an_erased_job_is_counted_out(app: runtime.App) -> None:
    event = sample("changes")
    change(event, None)
    record = copy.deepcopy(event["Records"][4])
    record["eventName"] = "REMOVE"
    record["dynamodb"]["OldImage"] = record["dynamodb"].pop("NewImage")
    record["dynamodb"]["SequenceNumber"] = "9"
    change({"Records": [record]}, None)
    assert app.ports.figures.read("main", "states") == {"ACTIVE": 1}


def test_a_store_out_of_reach_starts_the_stream_again_at_the_first_record(home: Home) -> None:
    event = sample("changes")
    with runtime.use(replace(home.app, ports=replace(home.ports, figures=Broken()))):
        answer = change(event, None)
    first = event["Records"][0]["dynamodb"]["SequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": first}]}
    with runtime.use(home.app):
        change(event, None)
    assert home.ports.figures.read("main", "states") == {"COMPLETED": 1, "ACTIVE": 1}


@pytest.mark.parametrize("image", [{"state": {"S": "ASLEEP"}}, {"state": {"S": "ACTIVE"}}, {"state": {"N": "1"}}, 7])
def test_a_record_that_cannot_be_read_does_not_stop_the_others(
    app: runtime.App, caplog: pytest.LogCaptureFixture, image: Any
) -> None:
    event = sample("changes")
    event["Records"][1]["dynamodb"]["NewImage"] = image
    assert change(event, None) == {"batchItemFailures": []}
    assert app.ports.figures.read("main", "states") == {"COMPLETED": 1, "ACTIVE": 1}
    if image != 7:
        assert [record.action for record in caplog.records] == ["change_skipped"]  # type: ignore[attr-defined]


def test_an_empty_batch_is_nothing(app: runtime.App) -> None:
    assert change({"Records": []}, None) == {"batchItemFailures": []}


def test_changes_become_figures(cloud: runtime.App, capsys: pytest.CaptureFixture[str]) -> None:
    change(sample("changes"), None)
    (written,) = metrics_in(capsys.readouterr().out)
    (described,) = written["_aws"]["CloudWatchMetrics"]
    assert (described["Namespace"], described["Dimensions"]) == ("Tidegate", [["stage"]])
    figures = {name: value for name, value in written.items() if name.startswith("Job")}
    assert figures == {"JobsCreated": [2.0], "JobsStarted": [2.0], "JobsCompleted": [1.0], "JobDuration": [25_500.0]}


def test_any_number_of_durations_is_written_and_none_is_lost(
    cloud: runtime.App, capsys: pytest.CaptureFixture[str]
) -> None:
    event = sample("changes")
    event["Records"] = [event["Records"][4]] * 250
    change(event, None)
    written = metrics_in(capsys.readouterr().out)
    assert sum(len(each.get("JobDuration", [])) for each in written) == 250
    assert all(len(each.get("JobDuration", [])) <= 100 for each in written)
    assert sum(sum(each.get("JobsCompleted", [])) for each in written) == 250


def test_a_batch_of_heartbeats_writes_nothing(cloud: runtime.App, capsys: pytest.CaptureFixture[str]) -> None:
    event = sample("changes")
    event["Records"] = [event["Records"][3]]
    with warnings.catch_warnings(action="error"):
        change(event, None)
    assert capsys.readouterr().out == ""


def test_the_embedded_feed_is_counted_as_the_cloud_is(app: runtime.App, home: Home) -> None:
    home.submit()
    home.drain(home.runner(work=lambda job: 1))
    home.pump()
    assert app.ports.figures.read("main", "states") == {"COMPLETED": 1}


# --- dead letters


def test_a_dead_letter_is_kept_while_the_store_is_out_of_reach(home: Home) -> None:
    event = sample("dead_letters")
    with runtime.use(replace(home.app, ports=replace(home.ports, jobs=Broken()))):
        answer = bury(event, None)
    kept = [event["Records"][n]["messageId"] for n in (0, 1)]
    assert answer == {"batchItemFailures": [{"itemIdentifier": each} for each in kept]}


def test_a_dead_letter_never_changes_a_job(app: runtime.App, home: Home) -> None:
    job = home.submit(job_id="report-2026-01")
    bury(sample("dead_letters"), None)
    assert home.job(job.id) == job
    assert job.state is State.CREATED


def test_dead_letters_are_logged_without_their_bodies(app: runtime.App, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        bury(sample("dead_letters"), None)
    assert [record.action for record in caplog.records] == ["dead_letter"] * 3  # type: ignore[attr-defined]
    assert [record.burial for record in caplog.records] == ["spent", "spent", "put_aside"]  # type: ignore[attr-defined]
    assert "not a ticket" not in caplog.text
