"""`GET /events` of the embedded server, at its ASGI interface."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tidegate_functions.api.answers.events import Event as EventAnswer

from home import ADMIN, Home
from tidegate import runtime
from tidegate.adapters.sqlite import events as sqlite_events
from tidegate.local import sse
from tidegate.local.http import Gateway
from tidegate.service.control import cancel
from tidegate.service.tokens import new_token


@dataclass
class Listener:
    """One request to the gateway, and what comes back of it."""

    gateway: Gateway
    token: str
    query: str = ""
    last_event_id: str | None = None
    status: int = 0
    text: str = ""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, until: Callable[[Listener], bool], seconds: float = 5.0) -> Listener:
        """Listen until enough has come, then go away; answers itself."""
        headers = [(b"authorization", f"Bearer {self.token}".encode())]
        if self.last_event_id is not None:
            headers.append((b"last-event-id", self.last_event_id.encode()))
        scope = {"type": "http", "method": "GET", "path": "/events", "query_string": self.query.encode()}
        enough = asyncio.Event()
        asked = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Mapping[str, Any]:
            if asked:
                return asked.pop()
            await enough.wait()
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            self.status = message.get("status", self.status)
            self.text += message.get("body", b"").decode()
            if until(self):
                enough.set()

        await asyncio.wait_for(self.gateway({**scope, "headers": headers}, receive, send), seconds)
        return self

    def blocks(self) -> list[dict[str, str]]:
        """The blocks of the stream, each with its fields."""
        raw = [block for block in self.text.split("\n\n") if block]
        return [dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")) for block in raw]

    def events(self) -> list[tuple[str, str]]:
        """Type and job of each event."""
        told = [block for block in self.blocks() if block.get("event", "").startswith("job.")]
        return [(block["event"], json.loads(block["data"])["job"]["id"]) for block in told]


@pytest.fixture
def app(home: Home) -> Iterator[Home]:
    with runtime.use(home.app):
        yield home


@pytest.fixture
def listener(app: Home) -> Callable[..., Listener]:
    """Makes listeners; each is someone with a token."""
    gateway = Gateway(app.app.stream)

    def make(query: str = "", user: str = "admin", scopes: tuple[str, ...] = ("admin",), **fields: Any) -> Listener:
        tenant = fields.pop("tenant", "main")
        clear, token = new_token(app.ports.now(), tenant=tenant, user=user, scopes=list(scopes))
        app.ports.tokens.put(token)
        return Listener(gateway, clear, query, **fields)

    return make


def run(awaitable: Awaitable[Listener]) -> Listener:
    async def main() -> Listener:
        return await awaitable

    return asyncio.run(main())


def count(number: int) -> Callable[[Listener], bool]:
    return lambda listener: len(listener.events()) >= number


def begun(listener: Listener) -> bool:
    return "id: " in listener.text


def test_events_come_as_they_happen(app: Home, listener: Callable[..., Listener]) -> None:
    app.submit(job_id="before")
    app.pump()
    happened: list[Any] = []

    def until(found: Listener) -> bool:
        if begun(found) and not happened:
            happened.append(app.submit(job_id="after"))
            app.drain(app.runner(work=lambda context: "done"))
            app.pump()
        return len(found.events()) == 5

    found = run(listener().listen(until))
    assert found.status == 200
    # the job that was there is started and completed before the one that was made later
    assert found.events() == [
        ("job.created", "after"),
        ("job.started", "before"),
        ("job.completed", "before"),
        ("job.started", "after"),
        ("job.completed", "after"),
    ]
    assert found.blocks()[0]["retry"] == "2000"


def test_a_listener_that_comes_back_goes_on_where_it_was(app: Home, listener: Callable[..., Listener]) -> None:
    for number in range(5):
        app.submit(job_id=f"j{number}")
    app.pump()
    first = run(listener("after=0").listen(count(2)))
    ids = [block["id"] for block in first.blocks() if "event" in block]
    rest = run(listener(last_event_id=ids[1]).listen(count(3)))
    assert [job for _, job in rest.events()] == ["j2", "j3", "j4"]


def test_a_listener_that_was_away_for_too_long_is_told_of_the_gap(
    app: Home, listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.ports.events, "_kept", 3)
    assert sqlite_events.KEPT == 10_000
    for number in range(8):
        app.submit(job_id=f"j{number}")
    app.pump()
    found = run(listener(last_event_id="1").listen(count(3)))
    gap = next(block for block in found.blocks() if block.get("event") == sse.GAP)
    assert json.loads(gap["data"]) == {"after": 1, "oldest": 6}
    assert [job for _, job in found.events()] == ["j5", "j6", "j7"]


def test_filters_tenants_and_owners(app: Home, listener: Callable[..., Listener]) -> None:
    from tidegate.domain.caller import Caller
    from tidegate.domain.queue import Queue

    bob, other = Caller("main", "bob", frozenset({"submit"})), Caller("other", "admin", frozenset({"admin"}))
    app.ports.queues.put_if_unchanged(Queue(tenant="main", name="mail"), None)
    app.submit(job_id="mine")
    app.submit(job_id="mail", queue="mail")
    app.submit(job_id="his", caller=bob)
    app.submit(job_id="theirs", caller=other)
    app.pump()

    def jobs(number: int, query: str = "", **who: Any) -> list[str]:
        return [job for _, job in run(listener(f"after=0{query}", **who).listen(count(number))).events()]

    assert jobs(3) == ["mine", "mail", "his"]
    assert jobs(1, "&queue=mail") == ["mail"]
    assert jobs(1, "&job=his") == ["his"]
    assert jobs(1, user="bob", scopes=("read",)) == ["his"]
    assert jobs(1, tenant="other") == ["theirs"]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"scopes": ("submit",)}, 403, "FORBIDDEN"),
        ({"query": "x=1"}, 422, "INVALID_INPUT"),
        ({"last_event_id": "x"}, 422, "INVALID_INPUT"),
        ({"query": "after=-1"}, 422, "INVALID_INPUT"),
    ],
)
def test_what_may_not_be_is_refused_before_anything_is_sent(
    listener: Callable[..., Listener], fields: dict[str, Any], status: int, code: str
) -> None:
    found = run(listener(**fields).listen(lambda each: True))
    assert (found.status, json.loads(found.text)["code"]) == (status, code)


def test_without_a_token_nobody_listens(listener: Callable[..., Listener]) -> None:
    made = listener()
    made.token = "tg_000000000000_wrong"
    found = run(made.listen(lambda each: True))
    assert (found.status, json.loads(found.text)["code"]) == (401, "UNAUTHENTICATED")


def test_listeners_are_counted_and_too_many_are_refused(
    listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MAX_STREAMS", 0)
    found = run(listener().listen(lambda each: True))
    assert (found.status, json.loads(found.text)["code"]) == (429, "TOO_MANY_REQUESTS")
    monkeypatch.setattr(sse, "MAX_STREAMS", 1)
    made = listener()
    for _ in range(3):
        assert run(made.listen(begun)).status == 200
        made.text = ""


def test_listeners_go_when_the_server_stops(app: Home) -> None:
    stopping: list[bool] = []
    gateway = Gateway(app.app.stream, lambda: bool(stopping))
    clear, token = new_token(app.ports.now(), tenant="main", user="admin", scopes=["read"])
    app.ports.tokens.put(token)

    def until(found: Listener) -> bool:
        if begun(found):
            stopping.append(True)
        return False

    found = run(Listener(gateway, clear).listen(until, seconds=3))
    assert found.status == 200


def test_an_event_of_a_cancelled_job_names_the_reason(app: Home, listener: Callable[..., Listener]) -> None:
    job = app.submit(job_id="j")
    cancel(app.ports, ADMIN, job.id, "not\nneeded")
    app.pump()
    found = run(listener("after=0").listen(count(2)))
    last = json.loads(found.blocks()[-1]["data"])
    assert (last["version"], last["type"], last["job"]["reason"]) == (1, "job.cancelled", "not\nneeded")


def test_events_of_a_run_and_its_jobs_are_heard_by_its_id(app: Home, listener: Callable[..., Listener]) -> None:
    from tidegate.domain.dag.spec import DagSpec, NodeSpec
    from tidegate.service.runs import submit_dag

    spec = DagSpec(name="d", nodes=(NodeSpec(id="a", job={"name": "work"}),), tags=("nightly",))
    (view, _) = submit_dag(app.ports, ADMIN, spec, {})
    app.submit(job_id="other")
    app.drain(app.runner(work=lambda context: "done"))
    app.pump()
    found = run(listener(f"after=0&dag={view.run.id}").listen(lambda each: "dag.completed" in each.text))
    told = [(block["event"], json.loads(block["data"])) for block in found.blocks() if "event" in block]
    assert [kind for kind, _ in told] == [
        "dag.started", "job.created", "job.started", "job.completed", "dag.completed",
    ]  # fmt: skip
    assert told[-1][1]["dag"] == {
        "id": view.run.id, "name": "d", "owner": "admin", "state": "COMPLETED", "tags": ["nightly"],
    }  # fmt: skip
    assert "job" not in told[-1][1]
    for _, body in told:
        EventAnswer.model_validate_json(json.dumps(body))


def test_a_stream_ends_when_its_token_is_revoked(
    app: Home, listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not before: the first event is told, the one after the revocation is not."""
    monkeypatch.setattr(sse, "_ASK_SECONDS", 0.0)
    clear, token = new_token(app.clock.now(), tenant="main", user="ada", scopes=["read", "operate"])
    app.ports.tokens.put(token)
    listening = listener()
    listening.token = clear
    first = app.submit()
    app.pump()
    listening.query = "after=0"

    def seen(listener: Listener) -> bool:
        if first.id in listener.text and not revoked:
            revoked.append(True)
            app.ports.tokens.put(replace(token, revoked_at=1))
            app.submit(job_id="later")
            app.pump()
        return False

    revoked: list[bool] = []
    asyncio.run(listening.listen(seen))
    assert [job for _, job in listening.events()] == [first.id]
