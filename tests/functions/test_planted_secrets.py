"""No payload, result, error text or token gets into a log, whatever happens and however much is logged."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from gateway import sample
from matrix import Asked, ask, bearer

from home import Clock, Home
from support.aws import Cloud
from support.homes import KINDS, stream_records
from support.homes import Home as Plain
from tidegate import runtime
from tidegate.local.background import Background
from tidegate.local.functions import Context, invoke
from tidegate.runtime import App, Settings
from tidegate.service.apart import Apart

PLANTED = "planted-9f81b2"
"""Stands in every payload, result, error and token of this module, and nowhere else."""
HANDLERS = f"""
from tidegate import JobContext, PermanentError, executor

@executor("work")
def work(job: JobContext) -> str:
    job.progress(0.5, "{PLANTED}")
    return "{PLANTED}"

@executor("fail")
def fail(job: JobContext) -> None:
    raise ValueError("{PLANTED}")

@executor("fatal")
def fatal(job: JobContext) -> None:
    raise PermanentError("{PLANTED}")

@executor("unsayable")
def unsayable(job: JobContext) -> object:
    return {{"{PLANTED}": object()}}
"""
Everything = Callable[[], str]


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """A home of either kind, served by handlers that say the planted word wherever they can."""
    if request.param == "aws":
        cloud: Cloud = request.getfixturevalue("aws")
        app = App(cloud.reset(), Settings(stage="dev", pools={"default": {}}))
        with runtime.use(app):
            yield Home(app, cloud.clock)
        return
    clock = Clock()
    home = Home(runtime.embedded(tmp_path / "home", now=clock.now, rng=random.Random(1)), clock)
    with runtime.use(home.app):
        yield home
    home.close()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Everything]:
    """All that was logged or printed, at the most talkative level."""

    def everything() -> str:
        out, err = capfd.readouterr()
        records = [str({**record.__dict__, "text": caplog.handler.format(record)}) for record in caplog.records]
        return "\n".join([*records, out, err])

    with caplog.at_level(logging.DEBUG):
        yield everything


def post(app: App, path: str, body: Any, header: str | None, method: str = "POST", query: str = "") -> int:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(app, Asked("", method, path, (), content, query), header).status


def of_kind(home: Home) -> Plain:
    return Plain("aws" if home.app.feed is None else "sqlite", home.ports, home.clock)


def feed(home: Home) -> None:
    """Hand all changes to the change feed's function."""
    records = stream_records(of_kind(home)) if home.app.feed is None else list(home.app.feed.read(1_000))
    assert records
    assert invoke("changes", {"Records": records}) == {"batchItemFailures": []}


def serve(home: Home) -> None:
    """Serve all tickets by the worker's function, as SQS would have it do."""
    while (delivery := home.receive()) is not None:
        record = sample("worker")["Records"][0] | {"body": delivery.body, "receiptHandle": delivery.receipt}
        record["eventSourceARN"] = f"arn:aws:sqs:eu-central-1:123456789012:{delivery.source}"
        if not invoke("worker", {"Records": [record]}, Context("worker"))["batchItemFailures"]:
            home.ports.tickets.finish([delivery])


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = tmp_path / "planting_handlers.py"
    handlers.write_text(HANDLERS)
    monkeypatch.setenv("TIDEGATE_HANDLERS", str(handlers))


@pytest.mark.usefixtures("worker")
def test_the_life_of_jobs_is_logged_without_what_they_carry(world: Home, logged: Everything) -> None:
    app, header = world.app, bearer(world, "main", "ada", "submit", "read", "operate", "work")
    for name in ("work", "fail", "fatal", "unsayable", "unknown"):
        body = {"name": name, "data": {"card": PLANTED}, "metadata": {"card": PLANTED}, "retry_limit": 0}
        assert post(app, "/jobs", body, header) == 201
    nodes = [{"id": "a", "name": "work", "data": PLANTED}, {"id": "b", "name": "work", "depends_on": ["a"]}]
    assert post(app, "/dags", {"name": "run", "nodes": nodes}, header) == 201
    schedule = {"name": "nightly", "expression": "* * * * *", "job": {"name": "work", "data": PLANTED}}
    assert post(app, "/schedules", schedule, header) == 201
    serve(world)
    world.clock.advance(120)
    invoke("clock", sample("clock") | {"time": "2033-05-18T03:35:20Z"})
    feed(world)
    invoke("dead_letters", _letter(json.dumps([9, "main", PLANTED])))
    invoke("worker", {"Records": [sample("worker")["Records"][0] | {"body": PLANTED}]}, Context("worker"))
    told = logged()
    assert "attempt failed" in told
    assert PLANTED not in told


def _letter(body: str) -> dict[str, Any]:
    event = sample("dead_letters")
    return {"Records": [event["Records"][0] | {"body": body}]}


REFUSED: Mapping[str, tuple[str, Any, str]] = {
    "not JSON": ("/jobs", f'{{"name": "{PLANTED}'.encode(), ""),
    "not UTF-8": ("/jobs", PLANTED.encode() + b"\xff", ""),
    "an unknown field": ("/jobs", {"name": "work", PLANTED: PLANTED}, ""),
    "a wrong type": ("/jobs", {"name": "work", "priority": PLANTED}, ""),
    "a wrong name": ("/jobs", {"name": f"{PLANTED} \n", "data": PLANTED}, ""),
    "an unknown parameter": ("/jobs", {"name": "work"}, f"token={PLANTED}"),
    "no such route": ("/nothing", PLANTED, ""),
    "a missing job": ("/jobs/nobody/complete", {"attempt": 1, "result": PLANTED}, ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_not_logged(world: Home, logged: Everything, case: str) -> None:
    path, body, query = REFUSED[case]
    header = bearer(world, "main", "ada", "submit", "read", "work")
    assert 400 <= post(world.app, path, body, header, query=query) < 500 or case == "an unknown parameter"
    assert PLANTED not in logged()


def test_tokens_are_not_logged_valid_or_not(world: Home, logged: Everything) -> None:
    header = bearer(world, "main", "ada", "admin")
    secret = header.rpartition("_")[2]
    made = ask(world.app, Asked("", "POST", "/tokens", (), b'{"user": "eve", "scopes": ["read"]}'), header)
    assert made.status == 201
    assert post(world.app, "/jobs", {"name": "work"}, header + PLANTED) == 401
    assert post(world.app, "/jobs", {"name": "work"}, f"Bearer eyJ{PLANTED}.e30.{PLANTED}") == 401
    assert post(world.app, "/jobs", {"name": "work"}, f"Basic {PLANTED}") == 401
    told = logged()
    assert PLANTED not in told
    assert secret not in told
    assert json.loads(made.text)["secret"].rpartition("_")[2] not in told


class Quoting:
    """A port that fails with an error that quotes what it was given, as libraries do."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"cannot store {PLANTED}")


def test_an_error_nobody_foresaw_is_logged_by_its_kind_and_place(world: Home, logged: Everything) -> None:
    header = bearer(world, "main", "ada", "submit", "read", "operate")
    for port in ("jobs", "tokens", "queues"):
        broken = world.with_ports(**{port: Quoting()}).app
        assert post(broken, "/jobs", {"name": "work", "data": PLANTED}, header) == 500
    told = logged()
    assert told.count("RuntimeError") >= 3
    assert "in __getattr__" in told
    assert PLANTED not in told


def test_the_threads_of_the_local_server_log_kind_and_place_alone(logged: Everything) -> None:
    def step() -> bool:
        thread.ask_to_stop()
        raise RuntimeError(PLANTED)

    thread = _Thread("tidegate-test", step, 0)
    thread.start()
    thread.stop()
    assert Apart("tested").do("a part", lambda: Quoting().get, "passed over") == "passed over"
    told = logged()
    assert "tidegate-test failed: RuntimeError" in told
    assert "a part failed and was passed over: RuntimeError" in told
    assert PLANTED not in told


class _Thread(Background):
    def ask_to_stop(self) -> None:
        self._stopping.set()
