"""`tidegate worker --metrics-port`: what a worker tells of itself."""

from __future__ import annotations

import logging
import re
import time
from types import SimpleNamespace

import httpx
import pytest

from home import Clock, Home, RealClock, executors
from tidegate.domain.errors import InvalidInput, Unavailable
from tidegate.domain.exposition import CONTENT_TYPE
from tidegate.execution.context import JobContext
from tidegate.execution.presence import Presence, describe
from tidegate.execution.runner import Runner
from tidegate.worker.budget import Budget
from tidegate.worker.crew import Crew
from tidegate.worker.metrics import served
from tidegate.worker.options import WorkerOptions
from tidegate.worker.pull import PullLoop


@pytest.fixture
def clock() -> Clock:
    return RealClock()


def samples(text: str) -> dict[str, float]:
    found = re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_a_worker_tells_what_it_did_and_does(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked while the third of three jobs runs, over HTTP, as Prometheus asks."""
    monkeypatch.setattr(
        "tidegate.worker.crew.signal", SimpleNamespace(SIGTERM=1, SIGINT=2, SIGALRM=14, signal=lambda *_: None)
    )
    caplog.set_level(logging.INFO, "tidegate.worker")

    def url() -> str:
        (line,) = [str(each.args[1]) for each in caplog.records if isinstance(each.args, tuple) and len(each.args) == 3]
        return f"http://127.0.0.1:{line}"

    answers: list[httpx.Response] = []

    def ask(_: JobContext) -> None:
        answers.extend(httpx.get(url() + path, trust_env=False) for path in ("/metrics", "/other"))

    def fail(_: JobContext) -> None:
        raise ValueError("no")

    for name in ("fail", "quick", "ask"):
        home.submit(name, retry_limit=0)
    options = WorkerOptions(max_jobs=3, poll_interval=0.05, metrics_port=0, concurrency=1)
    crew, budget = Crew(options), Budget(3)
    handlers = executors(fail=fail, quick=lambda _: None, ask=ask)
    runner = Runner(home.ports, handlers, worker_id="w-1", lease_seconds=10, tally=crew.tally)
    crew.runners = [runner]
    crew.loops = [PullLoop(home.app, runner, options, budget, crew.tally)]
    about = describe("w-1", kind="pull", pool="default", version="1", names=handlers)
    before = time.time()
    assert crew.work(Presence(about, lambda _: None, list), budget, home.close) == 3
    told, elsewhere = answers
    assert (told.status_code, elsewhere.status_code) == (200, 404)
    assert told.headers["content-type"] == CONTENT_TYPE
    figures = samples(told.text)
    assert figures['tidegate_worker_jobs_total{queue="default",name="fail",outcome="failed"}'] == 1
    assert figures['tidegate_worker_jobs_total{queue="default",name="quick",outcome="completed"}'] == 1
    assert figures['tidegate_worker_run_seconds_bucket{name="quick",le="+Inf"}'] == 1
    assert figures['tidegate_worker_run_seconds_count{name="quick"}'] == 1
    assert 0 < figures['tidegate_worker_run_seconds_sum{name="quick"}'] < time.time() - before
    assert (figures["tidegate_worker_running"], figures["tidegate_worker_concurrency"]) == (1, 1)
    assert figures["tidegate_worker_claims_total"] == 3
    assert before <= figures["tidegate_worker_last_contact_timestamp_seconds"] <= time.time()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url(), trust_env=False)


def test_a_port_that_is_taken_is_said_so() -> None:
    with (
        served("127.0.0.1", 0, str) as port,
        pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{port}"),
        served("127.0.0.1", port, str),
    ):
        pass


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(InvalidInput, match="metrics_port"):
        WorkerOptions(metrics_port=port)
