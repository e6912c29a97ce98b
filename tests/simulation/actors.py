"""Who acts: clients, workers, the clock, the change feed and the reader of dead letters. All run the project's code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tidegate_functions.changes.handler as changes
import tidegate_functions.worker.handler as worker_function

from tidegate import runtime
from tidegate.domain.caller import Caller
from tidegate.domain.errors import LeaseLost, NotFound, TidegateError, Unavailable
from tidegate.domain.job import ErrorType, Job, Ms
from tidegate.domain.spec import JobSpec
from tidegate.execution import runner as execution
from tidegate.execution.context import JobContext
from tidegate.execution.runner import Runner, Verdict
from tidegate.local import background
from tidegate.ports import Delivery, JobKey, Ports
from tidegate.runtime import App, Settings
from tidegate.service import bury, policies, submit, tick
from tidegate.service.payloads import with_payloads
from tidegate.worker import pull

from .faults import Faults, Kind
from .ports import Feed, Store, Wire, ports_of
from .watch import Watch
from .world import Crash, Process, Task, World

CALLER = Caller("main", "ann", frozenset({"admin"}))
OTHER = Caller("other", "bob", frozenset({"admin"}))
_LONG = 30 * 86_400_000
_SETTINGS = Settings(data=Path("/nowhere"), pools={"default": {}})


@dataclass(frozen=True, slots=True)
class Home:
    """Times of one kind of home, in seconds."""

    name: str
    lease: float
    tick: float
    visibility: float
    remembers: float
    """How long a process believes what it read of a queue's policy."""
    by_lambda: bool
    """Whether tickets come through an event source; else workers pull them."""
    skew: float
    """How wrong clocks may be; on one machine there is only one."""


EMBEDDED = Home("embedded", 10, 1, 10, 0.5, by_lambda=False, skew=0)
LAMBDA = Home("cloud, Lambda", 60, 60, 360, 5, by_lambda=True, skew=30)
PULL = Home("cloud, pull workers", 60, 60, 360, 5, by_lambda=False, skew=30)


@dataclass(slots=True)
class Cast:
    """All who act in one history, and what they share."""

    world: World
    home: Home
    faults: Faults
    watch: Watch
    store: Store
    skew: Ms = 0
    batch: int = 1
    """Tickets that an invocation is given at most."""
    clients: int = 0
    """Who still wants something."""
    numbers: dict[str, int] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    apps: dict[Task, App] = field(default_factory=dict)
    """What `runtime.current()` answers to each task."""
    runners: dict[App, Runner] = field(default_factory=dict)

    def start(self, role: str) -> tuple[Process, Ports]:
        """A fresh process, and its ports."""
        number = self.numbers[role] = self.numbers.get(role, 0) + 1
        skew = self.world.between(-self.skew, self.skew) if self.skew else 0
        process = Process(self.world, role, number, skew)
        self.processes.append(process)
        return process, ports_of(Wire(self.store, process), remembers=self.home.remembers)

    @contextmanager
    def runs(self, app: App) -> Iterator[None]:
        """Let `app` be the current one for the task that calls."""
        task = self.world.current()
        self.apps[task] = app
        try:
            yield
        finally:
            del self.apps[task]

    def visit(self, act: Callable[[], object], within: Ms) -> None:
        """Let a client do something once, at some time within so many milliseconds."""

        def visit() -> None:
            act()
            self.clients -= 1

        self.clients += 1
        self.world.spawn(visit, self.world.between(0, within))

    def forever(self, role: str, life: Callable[[Process, Ports], None], pause: Ms = 3_000) -> None:
        """Run a process, and another whenever it dies."""

        def lives() -> None:
            while True:
                process, ports = self.start(role)
                try:
                    life(process, ports)
                except Crash:
                    self.world.note(f"{process.name} is dead")
                self.watch.lets_go(process)
                self.world.sleep(self.world.between(100, pause))

        self.world.spawn(lives, self.world.between(0, 1_000))


# Clients and the API.


class Api:
    """The API's process; whoever uses it when it dies gets no answer."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._process: Process | None = None
        self._ports: Ports | None = None

    def ask(self, request: Callable[[Ports], Any]) -> Any:
        """Do a request; raises what the project raises, or Unavailable when the process died."""
        if self._process is None or not self._process.alive or self._ports is None:
            self._process, self._ports = self._cast.start("api")
        try:
            return request(self._ports)
        except Crash as crash:
            raise Unavailable("no answer") from crash


def client(cast: Cast, api: Api, caller: Caller, specs: Sequence[JobSpec], tries: int) -> None:
    """Submit; without an answer repeat the same request. What was answered is accepted."""
    for _ in range(tries):
        try:
            answers = api.ask(lambda ports: submit.submit(ports, caller, specs))
        except Unavailable:
            cast.world.sleep(cast.world.between(200, 5_000))
            continue
        for answer in answers:
            if isinstance(answer, submit.Submitted):
                cast.watch.answered.add(JobKey(caller.tenant, answer.job.id))
            elif not isinstance(answer, Unavailable):
                raise answer
        if not any(isinstance(answer, Unavailable) for answer in answers):
            return


def operator(cast: Cast, api: Api, request: Callable[[Ports], Any], tries: int) -> bool:
    """Ask for something once or until it is answered; refusals are answers too."""
    for _ in range(tries):
        try:
            api.ask(request)
        except Unavailable:
            cast.world.sleep(cast.world.between(200, 3_000))
        except TidegateError:
            return True
        else:
            return True
    return False


def pause_for(cast: Cast, api: Api, queue: str, ms: Ms) -> None:
    """Pause a queue for a while."""
    operator(cast, api, lambda ports: policies.pause_queue(ports, CALLER, queue, "test"), 3)
    cast.world.sleep(ms)
    operator(cast, api, lambda ports: policies.resume_queue(ports, CALLER, queue), 1_000)
    cast.watch.excuse()


# Workers.


class VirtualRunner(Runner):
    """The project's runner; only the handler's call is replaced: by virtual time, as the job's data plan it."""

    def __init__(self, cast: Cast, process: Process, ports: Ports, *, extend_tickets: bool) -> None:
        super().__init__(
            ports, {}, worker_id=process.name, lease_seconds=cast.home.lease, extend_tickets=extend_tickets
        )
        self._cast = cast
        self._process = process

    def serve(self, delivery: Delivery, acknowledge: Any, *, seconds_left: float = float("inf")) -> Verdict:
        self._cast.watch.begins(self._process)
        try:
            return super().serve(delivery, acknowledge, seconds_left=seconds_left)
        finally:
            self._cast.watch.lets_go(self._process)

    def _run(self, attempt: execution._Attempt) -> Any:
        job, seconds_left = attempt.job, attempt.seconds_left
        try:
            full = with_payloads(self._ports.blobs, job)
        except NotFound:
            return execution._Raised(ErrorType.SYSTEM, "the job's data is missing", permanent=True)
        steps: Sequence[Mapping[str, Any]] = full.data["plan"]
        step = steps[min(job.attempt, len(steps)) - 1]
        context = JobContext(full, lambda: None)
        running = [True]
        self._cast.world.spawn(lambda: self._beats(full, context, running), round(self._lease_seconds * 1000 / 3))
        try:
            return self._act(full, context, step, min(job.timeout, max(1.0, seconds_left)))
        finally:
            running.clear()

    def _act(self, job: Job, context: JobContext, step: Mapping[str, Any], timeout: float) -> Any:
        does, ms, limit = step["does"], step["ms"], round(timeout * 1000)
        if does == "hang":
            ms = limit + 1
        for _ in range(4):
            self._process.sleep(min(ms, limit) // 4)
            if step.get("obeys") and context.cancelled:
                return execution._Stopped()
            if self._cast.faults.strikes(Kind.HANDLER_DIED):
                self._process.die()
        if does == "stuck":
            self._give_up(job)
            self._process.die()
        if ms > limit:
            return execution._Raised(ErrorType.TIMEOUT, "too long")
        if does == "die":
            self._process.die()
        return self._outcome(does, step)

    def _outcome(self, does: str, step: Mapping[str, Any]) -> Any:
        match does:
            case "fail":
                return execution._Raised(ErrorType.AGENT, "bad page")
            case "fail for good":
                return execution._Raised(ErrorType.AGENT, "no such page", permanent=True)
            case "skip":
                return execution.Skip("nothing to do")
            case "snooze":
                return execution.Snooze(step["seconds"])
            case "answer much":
                return "x" * 100_001
        return {"done": True}

    def _beats(self, job: Job, context: JobContext, running: list[bool]) -> None:
        """What `Pulse` does: a beat that is under way when the handler ends still arrives."""
        while running:
            pause = round(self._lease_seconds * 1000 / 3)
            try:
                if self._beat(job, context.take_progress()).cancel_requested:
                    context.ask_to_stop()
            except (LeaseLost, NotFound):
                context.ask_to_stop()
            except Unavailable:
                pause = 1_000
            self._process.sleep(pause)


def puller(cast: Cast) -> Callable[[Process, Ports], None]:
    """A worker that runs the project's pull loop."""

    def life(process: Process, ports: Ports) -> None:
        runner = VirtualRunner(cast, process, ports, extend_tickets=True)
        loop = pull.PullLoop(App(ports, _SETTINGS), runner, pull.WorkerOptions())
        loop._wait = _LONG / 1000  # a ticket wakes it
        loop.run()

    return life


class _Invocation:
    """Lambda's context, on virtual time."""

    def __init__(self, world: World, seconds: float) -> None:
        self._world = world
        self._end = world.now + round(seconds * 1000)

    def get_remaining_time_in_millis(self) -> int:
        return self._end - self._world.now


def event_source(cast: Cast) -> Callable[[Process, Ports], None]:
    """SQS's event source mapping, and the worker function that it calls."""

    def life(process: Process, ports: Ports) -> None:
        app = App(ports, _SETTINGS)
        cast.runners[app] = VirtualRunner(cast, process, ports, extend_tickets=False)
        while True:
            try:
                deliveries = ports.tickets.receive("default", cast.batch, _LONG / 1000)
                with cast.runs(app):
                    answer = worker_function.handler(_sqs_event(deliveries), _Invocation(cast.world, 300))
                failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
                ports.tickets.finish([each for each in deliveries if each.receipt not in failed])
            except Unavailable:
                process.sleep(1_000)

    return life


def _sqs_event(deliveries: Sequence[Delivery]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": each.receipt,
                "receiptHandle": each.receipt,
                "body": each.body,
                "attributes": {"ApproximateReceiveCount": str(each.receives)},
                "eventSourceARN": f"arn:aws:sqs:eu-west-1:000000000000:{each.source}",
            }
            for each in deliveries
        ]
    }


# The clock.


def clock(cast: Cast) -> None:
    """Tick for ever: with a crash, a skip or a double now and then; long quiet spells are passed over."""
    world, period = cast.world, round(cast.home.tick * 1000)
    box: list[tuple[Process, Ports]] = []
    last: list[Ms | None] = [None]

    def once() -> None:
        if not box or not box[0][0].alive:
            box[:] = [cast.start("clock")]
            last[:] = [None]
        process, ports = box[0]
        try:
            begun = process.now()
            tick.tick(ports, cast.home.tick, last[0])
            last[0] = begun if cast.home is EMBEDDED else None
        except (Unavailable, Crash) as error:
            world.note(f"{process.name} gave up: {type(error).__name__}")

    while True:
        begun = world.now
        if not cast.faults.strikes(Kind.TICK_SKIPPED):
            if cast.faults.strikes(Kind.TICK_DOUBLED):
                world.spawn(once, world.between(0, 500))
            once()
        spent = 0 if cast.home is EMBEDDED else world.now - begun
        quiet = quiet_until(cast) - world.now - 2 * period - 2 * cast.skew
        world.sleep(min(quiet, 3_600_000) // period * period if quiet > 10 * period else max(0, period - spent))


def quiet_until(cast: Cast) -> Ms:
    """When something happens next, as far as the clock and the workers are concerned."""
    store, now = cast.store, cast.world.now
    pressing = "SELECT EXISTS (SELECT 1 FROM changes) OR EXISTS (SELECT 1 FROM jobs WHERE place = 'ready')"
    if cast.clients or store.dead or store.one(pressing):
        return now
    times = [
        store.next_ticket(),
        store.one("SELECT MIN(at) FROM timers"),
        store.one("SELECT MIN(place_order) FROM jobs WHERE place = 'due'"),
        store.one("SELECT MIN(lease_until) FROM jobs WHERE state = 'ACTIVE'"),
    ]
    return min((at for at in times if at is not None), default=now)


# The change feed.


def stream(cast: Cast) -> Callable[[Process, Ports], None]:
    """DynamoDB's stream: a batch comes again as it was until it is handled, or in two pieces after an error."""
    world, faults, store = cast.world, cast.faults, cast.store
    pending: list[Sequence[dict[str, Any]]] = []

    def life(process: Process, ports: Ports) -> None:
        app = App(ports, _SETTINGS)

        def handled(records: Sequence[dict[str, Any]]) -> bool:
            with cast.runs(app):
                return not changes.handler({"Records": records}, None)["batchItemFailures"]

        if pending and len(pending[0]) > 1 and faults.strikes(Kind.BATCH_SPLIT):
            records = pending.pop(0)
            pending[:0] = [records[: len(records) // 2], records[len(records) // 2 :]]
        while True:
            if not pending and (records := store.feed.read(1 + int(world.rng.random() * 20))):
                pending.append(records)
            if not pending:
                store.wait("change", process, world.now + _LONG)
                continue
            if faults.strikes(Kind.BATCH_LATE):
                process.sleep(world.between(0, 60_000))
            if handled(pending[0]):
                if faults.strikes(Kind.BATCH_DOUBLED):
                    handled(pending[0])
                store.feed.drop(pending.pop(0))
            process.sleep(world.between(100, 1_000))

    return life


def pump(cast: Cast) -> Callable[[Process, Ports], None]:
    """The embedded home's pump, the project's own: what it reads anew after an error may have grown."""
    store = cast.store

    def life(process: Process, _: Ports) -> None:
        wire = Wire(store, process)
        ports, feed = ports_of(wire, transactions=True), Feed(wire)
        app = App(ports, _SETTINGS, feed)
        while True:
            if cast.faults.strikes(Kind.BATCH_LATE):
                process.sleep(cast.world.between(0, 20_000))
            try:
                with cast.runs(app):
                    background.pump_changes(ports, feed)
            except Unavailable as error:
                cast.world.note(f"{process.name}: {error}")
            process.sleep(100)
            if not store.one("SELECT EXISTS (SELECT 1 FROM changes)"):
                store.wait("change", process, cast.world.now + _LONG)

    return life


# Dead letters.


def grave_digger(cast: Cast) -> Callable[[Process, Ports], None]:
    """The function that reads dead letters; a letter comes again until it is dealt with."""
    dead = cast.store.dead

    def life(process: Process, ports: Ports) -> None:
        while True:
            if not dead:
                cast.store.wait("letter", process, cast.world.now + _LONG)
                continue
            letter = dead[0]
            try:
                bury.bury(ports, letter.body, letter.source)
                dead.remove(letter)
            except Unavailable:
                process.sleep(1_000)

    return life


# Time, as the project's loops see it.


class VirtualTime:
    """In the place of the module `time` in the runner and the pull loop."""

    def __init__(self, world: World) -> None:
        self._world = world

    def monotonic(self) -> float:
        return self._world.now / 1000

    def sleep(self, seconds: float) -> None:
        self._world.sleep(round(seconds * 1000))


@contextmanager
def on_virtual_time(cast: Cast) -> Iterator[None]:
    """Let the project's loops and functions live in the world of `cast`."""
    virtual: Any = VirtualTime(cast.world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "time", virtual)
        patch.setattr(pull, "time", virtual)
        patch.setattr(runtime, "current", lambda: cast.apps[cast.world.current()])
        patch.setattr(worker_function, "_runner", lambda app: cast.runners[app])
        yield
