"""`EventBus` and `EventStream`, and the way from a committed change to an event, in both homes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tidegate_functions.api.answers.events import Event as EventAnswer
from tidegate_functions.changes.records import changes_in

from support.attempts import ADMIN, serve, submitted, worker
from support.aws import Cloud
from support.clock import START_MS, Clock
from support.homes import Home, stream_records
from tidegate.adapters.aws.eventbridge import EventBridgeBus, NoBus, bus_named
from tidegate.adapters.aws.parallel import Parallel
from tidegate.adapters.sqlite.events import SqliteEvents
from tidegate.adapters.sqlite.feed import SqliteFeed
from tidegate.adapters.sqlite.ports import open_database
from tidegate.domain.correlation import Correlation
from tidegate.domain.errors import Unavailable
from tidegate.domain.events import EVENT_TYPES, MAX_MESSAGE, SLA_EVENTS, Event, body_of, event_type
from tidegate.domain.job import TRANSITIONS, State
from tidegate.domain.spec import JobSpec
from tidegate.execution.context import JobContext
from tidegate.ports import Ports
from tidegate.service.announce_changes import events_of
from tidegate.service.control import cancel, erase, reprioritise, retry
from tidegate.service.submit import submit_one


def event(number: int, tenant: str = "main", **fields: Any) -> Event:
    made = {
        "id": str(number), "type": "job.created", "at": START_MS, "tenant": tenant, "owner": "ann", "job_id": "j",
        "name": "work", "queue": "mail", "old_state": None, "state": State.CREATED, "attempt": 0,
    }  # fmt: skip
    return Event(**{**made, **fields})


def test_every_transition_has_a_type_of_its_own_kind() -> None:
    moves = [(old, new) for old, news in TRANSITIONS.items() for new in news]
    found = {event_type(old, new) for old, new in [*moves, (None, State.CREATED), (State.FAILED, None)]}
    assert found | set(SLA_EVENTS.values()) == set(EVENT_TYPES)
    assert event_type(State.FAILED, State.CREATED) == "job.restarted"


class TestStream:
    @pytest.fixture
    def stream(self, tmp_path: Path) -> Iterator[SqliteEvents]:
        database = open_database(tmp_path)
        yield SqliteEvents(database, kept=5)
        database.close()

    def test_events_are_read_as_they_were_published_in_order(self, stream: SqliteEvents) -> None:
        made = [
            event(1, details={"tags": ["a"], "priority": 5}),
            event(2, old_state=State.FAILED, state=None),
            event(3, state=State.FAILED),
        ]
        stream.publish(made)
        found, position = stream.read("main", 0, 10)
        assert ([each.event for each in found], position) == (made, 3)
        assert stream.read("main", 3, 10) == ([], 3)

    def test_other_tenants_are_passed_over(self, stream: SqliteEvents) -> None:
        stream.publish([event(1, "zeta"), event(2), event(3, "zeta")])
        found, position = stream.read("main", 0, 10)
        assert ([each.position for each in found], position) == ([2], 3)
        assert stream.read("main", 0, 1) == ([], 1)

    def test_an_event_that_comes_again_is_kept_once(self, stream: SqliteEvents) -> None:
        for _ in range(2):
            stream.publish([event(1), event(2)])
        assert len(stream.read("main", 0, 10)[0]) == 2

    def test_only_the_newest_are_kept(self, stream: SqliteEvents) -> None:
        assert stream.bounds() == (0, 0)
        stream.publish([event(number) for number in range(1, 9)])
        assert stream.bounds() == (4, 8)
        stream.publish([])
        assert [each.position for each in stream.read("main", 0, 10)[0]] == [4, 5, 6, 7, 8]


class Puts:
    """An EventBridge client that answers as told, entry by entry, and keeps what it took."""

    def __init__(self, *failures: str | None) -> None:
        self.failures = list(failures)
        self.sizes: list[int] = []
        self.taken: list[dict[str, Any]] = []
        self.parallel = Parallel()

    @property
    def events(self) -> Puts:
        return self

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.sizes.append(len(Entries))
        results: list[dict[str, Any]] = []
        for entry in Entries:
            code = self.failures.pop(0) if self.failures else None
            if code is None:
                self.taken.append(entry)
            results.append({"EventId": "e"} if code is None else {"ErrorCode": code, "ErrorMessage": "no"})
        return {"FailedEntryCount": 0, "Entries": results}


class TestEventBridge:
    def publish(self, puts: Puts, *events: Event) -> None:
        EventBridgeBus(puts, "tidegate-dev").publish(events)  # type: ignore[arg-type]

    def test_events_go_ten_at_a_time(self) -> None:
        puts = Puts()
        self.publish(puts, *(event(number) for number in range(23)))
        assert sorted(puts.sizes) == [3, 10, 10]
        assert len({json.loads(entry["Detail"])["id"] for entry in puts.taken}) == 23

    def test_an_entry_names_bus_source_type_and_time(self) -> None:
        puts = Puts()
        made = event(7)
        self.publish(puts, made)
        (entry,) = puts.taken
        assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == (
            "tidegate-dev", "tidegate", "job.created",
        )  # fmt: skip
        assert entry["Time"].timestamp() * 1000 == START_MS
        assert json.loads(entry["Detail"]) == body_of(made)

    def test_what_failed_in_passing_is_sent_again_and_nothing_else(self) -> None:
        puts = Puts(None, "ThrottlingException", None, "InternalFailure")
        self.publish(puts, *(event(number) for number in range(4)))
        assert puts.sizes == [4, 2]
        assert sorted(json.loads(entry["Detail"])["id"] for entry in puts.taken) == ["0", "1", "2", "3"]

    def test_a_bus_that_keeps_failing_is_unavailable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tidegate.adapters.aws.tables.time", SimpleNamespace(sleep=lambda _seconds: None))
        with pytest.raises(Unavailable):
            self.publish(Puts(*["ThrottlingException"] * 100), event(1))

    def test_an_event_that_is_refused_for_good_holds_nothing_up(self, caplog: pytest.LogCaptureFixture) -> None:
        puts = Puts("MalformedDetail")
        self.publish(puts, event(1), event(2))
        assert (puts.sizes, len(puts.taken)) == ([2], 1)
        assert "MalformedDetail" in caplog.text

    def test_a_stage_without_a_bus_announces_nothing(self) -> None:
        silent = bus_named(Puts(), "")  # type: ignore[arg-type]
        assert isinstance(silent, NoBus)
        silent.publish([event(1)])

    def test_a_real_client_puts_them_on_the_bus(self, aws: Cloud) -> None:
        """moto hands what a rule matches to a queue, as EventBridge does."""
        aws.reset()
        clients = aws.clients
        clients.events.create_event_bus(Name="tidegate-dev")
        queue = clients.sqs.create_queue(QueueName="listener")["QueueUrl"]
        arn = clients.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = json.dumps({"source": ["tidegate"], "detail-type": ["job.failed"]})
        clients.events.put_rule(Name="failed", EventBusName="tidegate-dev", EventPattern=pattern)
        clients.events.put_targets(Rule="failed", EventBusName="tidegate-dev", Targets=[{"Id": "q", "Arn": arn}])
        bus_named(clients, "tidegate-dev").publish([event(1), event(2, type="job.failed", state=State.FAILED)])
        messages = clients.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        (told,) = [json.loads(message["Body"]) for message in messages]
        assert (told["detail-type"], told["detail"]["id"]) == ("job.failed", "2")


@pytest.fixture
def told(home: Home, tmp_path: Path) -> Iterator[Any]:
    """Answers the events of all changes that were committed so far, as each home's feed tells them."""
    database = open_database(tmp_path) if home.kind == "sqlite" else None

    def read() -> list[dict[str, Any]]:
        records = stream_records(home) if database is None else SqliteFeed(database).read(1_000)
        return [body_of(each) for each in events_of(changes_in(records), home.ports.now())]

    yield read
    if database is not None:
        database.close()


def test_events_say_which_request_made_the_job(ports: Ports, told: Any) -> None:
    asked = replace(ADMIN, correlation=Correlation("order-4711"))
    submit_one(ports, asked, JobSpec(name="work"))
    submitted(ports)
    serve(ports, worker(ports, work=lambda _: None))
    named = [each["job"].get("correlation_id") for each in told()]
    assert sorted(named, key=str) == [None] * 3 + ["order-4711"] * 3


def test_the_life_of_a_job_is_told_alike_in_both_homes(ports: Ports, clock: Clock, told: Any) -> None:
    def work(context: JobContext) -> str:
        context.heartbeat()
        context.progress(0.5)
        if context.attempt == 1:
            raise ValueError("bad page" * 200)
        return "done"

    job = submitted(ports, retry_delay=1, tags=["a", "b"])
    reprioritise(ports, ADMIN, job.id, 8)
    serve(ports, runner := worker(ports, work=work))
    clock.advance(2)
    serve(ports, runner)
    other = submitted(ports, start_after=ports.now() + 60_000)
    cancel(ports, ADMIN, other.id, "not needed")
    retry(ports, ADMIN, other.id)
    cancel(ports, ADMIN, other.id)
    erase(ports, ADMIN, other.id)
    found = told()
    assert [
        (each["type"], each["job"]["old_state"], each["job"]["state"], each["job"]["attempt"]) for each in found
    ] == [
        ("job.created", None, "CREATED", 0),
        ("job.started", "CREATED", "ACTIVE", 1),
        ("job.retrying", "ACTIVE", "RETRY", 1),
        ("job.started", "RETRY", "ACTIVE", 2),
        ("job.completed", "ACTIVE", "COMPLETED", 2),
        ("job.created", None, "CREATED", 0),
        ("job.cancelled", "CREATED", "CANCELLED", 0),
        ("job.restarted", "CANCELLED", "CREATED", 0),
        ("job.cancelled", "CREATED", "CANCELLED", 0),
        ("job.erased", "CANCELLED", None, 0),
    ]
    created, started, retrying, _, completed = found[:5]
    assert created["job"] == {
        "id": job.id, "name": "work", "queue": "default", "owner": "admin", "old_state": None, "state": "CREATED",
        "status": "pending", "attempt": 0, "priority": 5, "tags": ["a", "b"],
    }  # fmt: skip
    assert created["time"] == "2033-05-18T03:33:20.000Z"
    assert (started["job"]["worker_id"], started["job"]["priority"]) == ("w-1", 8)
    assert retrying["job"]["error_type"] == "agent"
    assert len(retrying["job"]["error_message"]) == MAX_MESSAGE
    assert "error_type" not in completed["job"]
    assert found[6]["job"]["reason"] == "not needed"
    assert len({each["id"] for each in found}) == len(found)
    for each in found:
        EventAnswer.model_validate(each)


def test_a_worker_that_takes_over_is_told_as_a_start(ports: Ports, clock: Clock, told: Any) -> None:
    from support.attempts import LAPSED_SECONDS, LEASE_SECONDS
    from tidegate.domain.ticket import ticket_for
    from tidegate.service.claim import claim_for

    job = submitted(ports)
    for name in ("w-1", "w-2"):
        claim_for(ports, ticket_for(job), name, LEASE_SECONDS, receives=1)
        clock.advance(LAPSED_SECONDS)
    assert [(each["type"], each["job"]["attempt"]) for each in told()][1:] == [("job.started", 1), ("job.started", 2)]


def test_payloads_are_never_announced(ports: Ports, told: Any) -> None:
    submitted(ports, data={"password": "hunter2"}, metadata={"customer": "hunter2"})
    serve(ports, worker(ports, work=lambda context: {"secret": "hunter2"}))
    assert "hunter2" not in json.dumps(told())
