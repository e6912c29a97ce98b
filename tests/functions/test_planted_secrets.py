"""No payload, result, error text or token gets into a log, whatever happens and however much is logged."""

from __future__ import annotations

import importlib
import json
import logging
import random
import traceback
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
from tidegate.domain.errors import NotFound
from tidegate.domain.ticket import encode, ticket_for
from tidegate.execution.discreet import FunctionFailed, discreet
from tidegate.local.background import Background
from tidegate.local.functions import Context, invoke
from tidegate.runtime import App
from tidegate.service.apart import Apart
from tidegate.settings import Settings

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
    records = _changes(home)
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
    secret = header.split("_", 2)[2]
    made = ask(world.app, Asked("", "POST", "/tokens", (), b'{"user": "eve", "scopes": ["read"]}'), header)
    assert made.status == 201
    assert post(world.app, "/jobs", {"name": "work"}, header + PLANTED) == 401
    assert post(world.app, "/jobs", {"name": "work"}, f"Bearer eyJ{PLANTED}.e30.{PLANTED}") == 401
    assert post(world.app, "/jobs", {"name": "work"}, f"Basic {PLANTED}") == 401
    told = logged()
    assert PLANTED not in told
    assert secret not in told
    assert json.loads(made.text)["secret"].split("_", 2)[2] not in told


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


FAILING: Mapping[str, str] = {
    "authorizer": "tokens",
    "changes": "figures",
    "clock": "timers",
    "dag": "dags",
    "dead_letters": "jobs",
    "worker": "queues",
}
"""Each function whose errors leave it, and a port that it cannot do without."""


@pytest.mark.usefixtures("worker")
def test_what_functions_raise_says_nothing_of_what_they_were_given(world: Home, logged: Everything) -> None:
    """Lambda's runtime writes the error that leaves a function, and all that it was raised from, to the log."""
    ticket = encode(ticket_for(world.submit("work", data=PLANTED)))
    events: Mapping[str, Any] = {
        "authorizer": {"headers": {"authorization": bearer(world, "main", "ada", "read")}},
        "changes": {"Records": _changes(world)},
        "clock": sample("clock"),
        "dag": {"task": "release", "tenant": "main", "dag_id": PLANTED, "resumed": 0},
        "dead_letters": _letter(ticket),
        "worker": {"Records": [sample("worker")["Records"][0] | {"body": ticket}]},
    }
    for name, port in FAILING.items():
        broken = world.with_ports(**{port: Quoting()}).app
        with runtime.use(broken), pytest.raises(FunctionFailed, match=r"^RuntimeError$") as raised:
            invoke(name, events[name], Context(name))
        assert PLANTED not in "".join(traceback.format_exception(raised.value)), name
    told = logged()
    assert told.count("function failed: RuntimeError") >= len(FAILING)
    assert PLANTED not in told


def _changes(home: Home) -> list[Any]:
    return stream_records(of_kind(home)) if home.app.feed is None else list(home.app.feed.read(1_000))


def test_tidegates_own_errors_keep_their_kind_and_lose_what_they_were_raised_from(logged: Everything) -> None:
    """State machines tell NotFound and InvalidInput from what is worth another try."""

    def handler(event: Any, context: Any) -> None:
        try:
            raise ValueError(PLANTED)
        except ValueError as error:
            raise NotFound("there is no such run") from error

    with pytest.raises(NotFound, match="no such run") as raised:
        discreet(handler)({}, None)
    assert PLANTED not in "".join(traceback.format_exception(raised.value))
    assert PLANTED not in logged()


def test_every_function_is_discreet() -> None:
    names = {path.parent.name for path in (Path(__file__).parents[2] / "functions").glob("*/handler.py")}
    assert names == {*FAILING, "api"}
    for name in names:
        handler = importlib.import_module(f"tidegate_functions.{name}.handler").handler
        assert hasattr(handler, "__wrapped__"), name
