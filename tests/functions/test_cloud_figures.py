"""What the functions write for CloudWatch, beside the clock's gauges and the change feed's counts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from gateway import Api, metrics_in, sample
from tidegate_functions.authorizer.handler import handler as authorize
from tidegate_functions.dead_letters.handler import handler as bury
from tidegate_functions.worker.handler import handler as work

from home import Home
from tidegate import runtime
from tidegate.domain.errors import InvalidInput, TooManyRequests, Unavailable
from tidegate.execution import emf, registry
from tidegate.execution.context import JobContext


def figures_in(output: str) -> dict[str, list[float]]:
    """The figures of all lines, by name."""
    found: dict[str, list[float]] = {}
    for written in metrics_in(output):
        assert (written["stage"], "_aws" in written) == ("dev", True)
        for name in written.keys() - {"_aws", "stage"}:
            found.setdefault(name, []).extend(written[name])
    return found


def test_a_worker_tells_how_long_jobs_waited_and_how_many_tickets_it_gave_back(
    cloud: runtime.App, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: JobContext) -> None:
        raise ValueError

    monkeypatch.setattr(registry, "_registered", {"work": registry.Executor("work", fail)})
    home.submit(start_after=home.clock.now() + 1_000)
    home.clock.advance(3)
    delivery = home.receive()
    assert delivery is not None
    record = sample("worker")["Records"][0] | {"body": delivery.body, "receiptHandle": delivery.receipt}
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
    assert len(work({"Records": [record]}, context)["batchItemFailures"]) == 1
    assert figures_in(capsys.readouterr().out) == {"JobWait": [2_000], "TicketsReturned": [1]}
    assert work({"Records": []}, context) == {"batchItemFailures": []}
    assert capsys.readouterr().out == ""


def test_fates_of_dead_letters_and_refused_tokens_are_counted(
    cloud: runtime.App, capsys: pytest.CaptureFixture[str]
) -> None:
    bury(sample("dead_letters"), None)
    event = sample("authorizer") | {"headers": {"Authorization": "Bearer nonsense"}}
    assert authorize(event, None) == {"isAuthorized": False}
    assert figures_in(capsys.readouterr().out) == {"TicketsSpent": [2], "TicketsPutAside": [1], "TokensRefused": [1]}


@pytest.mark.parametrize(
    ("error", "figure"),
    [(InvalidInput(), "ApiRefused"), (TooManyRequests(), "ApiThrottled"), (Unavailable(), "ApiFailed")],
)
def test_the_api_counts_what_it_refuses_and_nothing_else(
    cloud: runtime.App,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    figure: str,
) -> None:
    assert Api().get("/health").status == 200
    assert capsys.readouterr().out == ""

    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr("tidegate_functions.api.jobs.control.get_job", refuse)
    Api().get("/jobs/j")
    assert figures_in(capsys.readouterr().out) == {figure: [1]}


def test_a_figure_that_is_not_on_the_list_is_refused() -> None:
    with pytest.raises(LookupError):
        emf.publish("dev", {"Surprise": 1})
    emf.publish(None, {"Surprise": 1})
