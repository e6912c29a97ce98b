"""Every use case that writes, small and alone: what must be there before, and the act itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.adapters.sqlite.registry import SqliteQueues
from tidegate.domain.errors import TidegateError
from tidegate.domain.job import Ms
from tidegate.domain.limits import Holder, Semaphore
from tidegate.domain.queue import Queue
from tidegate.domain.spec import JobSpec
from tidegate.domain.ticket import Lane, decode, encode, ticket_for
from tidegate.execution.runner import Again, Verdict
from tidegate.ports import Delivery, JobKey, Ports
from tidegate.runtime import App
from tidegate.service import bury, claim, control, settle, submit, tick

from . import machinery
from .cast import CALLER, EMBEDDED, SETTINGS, Cast
from .workers import VirtualRunner
from .world import START, Process

MINUTE: Ms = 60_000
LANE = Lane("main", "default")
KEY = {"concurrency_key": "k"}


@dataclass(slots=True)
class Scene:
    """Where one use case plays. `process` is the one it happens to; whoever prepares the scene never fails."""

    cast: Cast
    process: Process
    ports: Ports
    helper: Ports
    known: dict[str, Any] = field(default_factory=dict)

    def submit(self, job_id: str, *does: str, **fields: Any) -> None:
        """A job that is accepted before anything goes wrong."""
        submit.submit_one(self.helper, CALLER, spec(job_id, *does, **fields))
        self.cast.watch.answered.add(JobKey("main", job_id))

    def deliver(self) -> Delivery:
        """The next ticket."""
        while not (found := self.helper.tickets.receive("default", 1, 0)):
            self.wait(1_000)
        return found[0]

    def wait(self, ms: Ms) -> None:
        """Let time pass."""
        self.cast.world.sleep(ms)

    def vanish(self, *, lapsed: bool = True) -> None:
        """A worker claims the next job and is never heard of again."""
        process, ports = self.cast.start("worker")
        self.claim(process, ports)
        self.cast.watch.lets_go(process)
        if lapsed:
            self.wait(round(self.cast.home.lease * 1000) + 1)

    def claim(self, process: Process, ports: Ports) -> None:
        """Let a worker claim the next job: it is `held`."""
        ticket = ticket_for(self.job(decode(self.deliver().body).job_id))
        found = claim.claim_for(ports, ticket, process.name, self.cast.home.lease, receives=1)
        assert isinstance(found, claim.Claimed)
        self.cast.watch.runs(found.job)
        self.known["held"] = found.job

    def job(self, job_id: str) -> Any:
        """A job as stored."""
        (job,) = self.helper.jobs.get([JobKey("main", job_id)])
        return job

    def serve(self) -> None:
        """The worker under test serves the delivery that was kept for it, as the pull loop would."""
        delivery: Delivery = self.known["delivery"]

        def acknowledge(verdict: Verdict) -> None:
            if isinstance(verdict, Again):
                self.ports.tickets.again(delivery, verdict.seconds)
            else:
                self.ports.tickets.finish([delivery])

        runner = VirtualRunner(self.cast, self.process, self.ports, extend_tickets=True)
        runner.serve(delivery, acknowledge)


Step = Callable[[Scene], object]


@dataclass(frozen=True, slots=True)
class UseCase:
    """`before` prepares, `act` is what is interrupted. `asks_again`: whoever asks repeats it when it failed."""

    name: str
    before: Sequence[Step]
    act: Step
    role: str = "api"
    asks_again: bool = False
    limited: bool = False
    """Whether its queue has limits."""


def spec(job_id: str | None, *does: str, **fields: Any) -> JobSpec:
    """A job whose attempts do this, one after the other."""
    plan: list[Mapping[str, Any]] = [{"does": each, "ms": 100, "seconds": 5} for each in (*does, "work")]
    data = {"plan": plan, **fields.pop("data", {})}
    return JobSpec(name=fields.pop("name", "work"), job_id=job_id, data=data, **fields)


def _has(job_id: str, *does: str, **fields: Any) -> Step:
    """A job is there."""
    return lambda scene: scene.submit(job_id, *does, **fields)


def _delayed(job_id: str, ms: Ms, **fields: Any) -> Step:
    return lambda scene: scene.submit(job_id, start_after=scene.process.now() + ms, **fields)


def wait(ms: Ms) -> Step:
    """Time passes."""
    return lambda scene: scene.wait(ms)


def _vanish(scene: Scene) -> None:
    scene.vanish()


def _held(scene: Scene) -> None:
    scene.vanish(lapsed=False)


def _purge(scene: Scene) -> None:
    scene.cast.store.database.rows("DELETE FROM tickets")


def feed(scene: Scene) -> None:
    """The change feed has caught up."""
    found = scene.cast.store.feed.read(1_000)
    machinery.handle(scene.cast, App(scene.helper, SETTINGS), found)
    scene.cast.store.feed.drop(found)


def _delivered(scene: Scene) -> None:
    scene.known["delivery"] = scene.deliver()


def _one_at_a_time(scene: Scene) -> None:
    """The default queue has one slot, and one for each key."""
    _limit(scene, slots=1, key_slots=1)


def _limit(scene: Scene, **limits: int) -> None:
    queue = Queue(tenant="main", name="default", **limits)  # type: ignore[arg-type]
    SqliteQueues(scene.cast.store.database).put_if_unchanged(queue, None)
    scene.cast.watch.limits[LANE] = queue


def _one_key_at_a_time(scene: Scene) -> None:
    """The default queue has one slot for each key."""
    _limit(scene, key_slots=1)


def _claimed(scene: Scene) -> None:
    scene.claim(scene.process, scene.ports)


def _sent_away(scene: Scene) -> None:
    """Another worker gets the next ticket, and finds no free slot."""
    process, ports = scene.cast.start("worker")
    Scene(scene.cast, process, ports, scene.helper, {"delivery": scene.deliver()}).serve()


def _orphaned(scene: Scene) -> None:
    """Somebody took a slot of the lane and one of the key, and died."""
    holder = str(Holder(True, True, scene.process.now(), "ff", "nobody"))
    for semaphore in (Semaphore(LANE), Semaphore(LANE, "k")):
        assert scene.helper.slots.acquire_if_free(semaphore, holder, 1).granted


def _completes(scene: Scene) -> None:
    settle.complete(scene.ports, scene.known["held"], None)


def _fails(scene: Scene) -> None:
    """A job fails for good."""
    scene.submit("a", "fail for good")
    process, ports = scene.cast.start("worker")
    ahead = Scene(scene.cast, process, ports, scene.helper, {"delivery": scene.deliver()})
    ahead.serve()


def _submits(*specs: JobSpec) -> Step:
    def act(scene: Scene) -> None:
        for answer in submit.submit(scene.ports, CALLER, specs):
            if isinstance(answer, TidegateError):
                raise answer
            scene.cast.watch.answered.add(JobKey("main", answer.job.id))

    return act


def _serves(scene: Scene) -> None:
    scene.serve()


def _beats(scene: Scene) -> None:
    """A heartbeat of a worker that holds the job; it lets go afterwards."""
    held = claim.claim_for(
        scene.ports, ticket_for(scene.job("a")), scene.process.name, scene.cast.home.lease, receives=1
    )
    if not isinstance(held, claim.Claimed):
        return
    settle.heartbeat(scene.ports, held.job, scene.cast.home.lease)


def ticks(scene: Scene) -> None:
    """The clock does what is due."""
    tick.tick(scene.ports, scene.cast.home.tick)


def _buries(scene: Scene) -> None:
    bury.bury(scene.ports, encode(ticket_for(scene.job("a"))), "default/normal")


def records(scene: Scene) -> None:
    """The embedded home's pump, or a batch of the stream, which comes again as it was until it is handled."""
    if scene.cast.home is EMBEDDED:
        return machinery.pump_once(scene.cast, scene.process)
    store = scene.cast.store
    found = scene.known.setdefault("records", store.feed.read(1_000))
    while not machinery.handle(scene.cast, App(scene.ports, SETTINGS), found):
        pass
    return store.feed.drop(found)


BIG = {"much": "x" * 100_001}
BATCH = (spec("a"), spec("b", priority=9), spec("c", "fail"))
USE_CASES: tuple[UseCase, ...] = (
    UseCase("submit one", (), _submits(spec("a"))),
    UseCase("submit one, ask again", (), _submits(spec("a")), asks_again=True),
    UseCase("submit one with a large payload", (), _submits(spec("a", data=BIG))),
    UseCase("submit one with a large payload, ask again", (), _submits(spec("a", data=BIG)), asks_again=True),
    UseCase("submit one for a later day", (), _submits(spec("a", start_after=START + 90_000_000))),
    UseCase("submit a batch", (), _submits(*BATCH)),
    UseCase("submit a batch, ask again", (), _submits(*BATCH), asks_again=True),
    UseCase("submit without an id", (), _submits(spec(None))),
    UseCase("complete", (_has("a"), _delivered), _serves, "worker"),
    UseCase("complete with a large result", (_has("a", "answer much"), _delivered), _serves, "worker"),
    UseCase("fail, to be retried", (_has("a", "fail"), _delivered), _serves, "worker"),
    UseCase("fail, to be retried next day", (_has("a", "fail", retry_delay=90_000.0), _delivered), _serves, "worker"),
    UseCase("fail for good", (_has("a", "fail for good"), _delivered), _serves, "worker"),
    UseCase("snooze", (_has("a", "snooze"), _delivered), _serves, "worker"),
    UseCase("skip", (_has("a", "skip"), _delivered), _serves, "worker"),
    UseCase("serve a better job first", (_has("a"), _has("b", "fail", priority=6), _delivered), _serves, "worker"),
    UseCase("reclaim a lost job", (_has("a"), _vanish, _delivered), _serves, "worker"),
    UseCase("bury a job that kills its workers", (_has("a", retry_limit=0), _vanish, _delivered), _serves, "worker"),
    UseCase("expire", (_has("a", expire_in_seconds=1.0), wait(2_000), _delivered), _serves, "worker"),
    UseCase("heartbeat", (_has("a"),), _beats, "worker"),
    UseCase("cancel a waiting job", (_has("a"),), lambda s: control.cancel(s.ports, CALLER, "a")),
    UseCase("cancel a running job", (_has("a"), _held), lambda s: control.cancel(s.ports, CALLER, "a")),
    UseCase("cancel a lost job, serve it", (_has("a"), _vanish, lambda s: control.cancel(s.helper, CALLER, "a"),
                                            _delivered), _serves, "worker"),
    UseCase("clean up after a lost job that was cancelled", (
        _has("a", name="tidy"), _vanish, lambda s: control.cancel(s.helper, CALLER, "a"), _delivered,
    ), _serves, "worker"),
    UseCase("retry", (_fails,), lambda s: control.retry(s.ports, CALLER, "a")),
    UseCase("retry next day", (_fails, wait(90_000_000), ticks), lambda s: control.retry(s.ports, CALLER, "a")),
    UseCase("reprioritise", (_has("a"), _has("b")), lambda s: control.reprioritise(s.ports, CALLER, "a", 1)),
    UseCase("reprioritise a delayed job", (_delayed("a", 30_000),),
            lambda s: control.reprioritise(s.ports, CALLER, "a", 9)),
    UseCase("erase", (_fails,), lambda s: control.erase(s.ports, CALLER, "a")),
    UseCase("tick: wake, announce and expire", (
        _delayed("a", 30_000), _delayed("b", 30_000), _delayed("c", 2_000_500), _delayed("d", 2_030_000),
        _delayed("e", 1_900_000, expire_in_seconds=1.0), _purge, wait(2_000_000),
    ), ticks, "clock"),
    UseCase("tick: wake on a later day", (_delayed("a", 90_000_000), wait(90_000_000), ticks), ticks, "clock"),
    UseCase("tick: leases", (_has("a"), _has("b"), _vanish, _vanish, feed, _purge), ticks, "clock"),
    UseCase("tick: lanes", (_has("a"), _has("b"), _has("c", expire_in_seconds=1.0), _purge, wait(MINUTE)), ticks,
            "clock"),
    UseCase("start in the only slot", (_one_at_a_time, _has("a", **KEY), _has("b"), _delivered), _serves, "worker",
            limited=True),
    UseCase("find the only slot taken", (_one_at_a_time, _has("a"), _held, _has("b"), _delivered), _serves, "worker",
            limited=True),
    UseCase("set a job aside, start another", (
        _one_key_at_a_time, _has("a", **KEY), _held, _has("b", priority=6, **KEY), _has("c"), _delivered,
    ), _serves, "worker", limited=True),
    UseCase("leave a slot that others wait for", (
        _one_key_at_a_time, _has("a", **KEY), _claimed, _has("b", **KEY), _sent_away,
    ), _completes, "worker", limited=True),
    UseCase("tick: slots", (
        _one_at_a_time, _has("a", **KEY), _orphaned, _sent_away, wait(3 * MINUTE),
    ), ticks, "clock", limited=True),
    UseCase("serve a job past its hard deadline", (_has("a", hard_sla_seconds=1.0), wait(2_000), _delivered), _serves,
            "worker"),
    UseCase("tick: deadlines of waiting jobs", (
        _has("a", hard_sla_seconds=15.0), _has("b", soft_sla_seconds=20.0, hard_sla_seconds=60.0), feed, wait(20_001),
    ), ticks, "clock"),
    UseCase("tick: a job at risk that runs", (
        _has("a", soft_sla_seconds=8.0, hard_sla_seconds=80.0), _held, feed, wait(7_500),
    ), ticks, "clock"),
    UseCase("tick: end a job that runs", (
        _has("a", hard_sla_seconds=5.0), _held, feed, wait(5_001),
    ), ticks, "clock"),
    UseCase("record changes of jobs with deadlines", (
        _has("a", soft_sla_seconds=60.0), _has("b", "fail", soft_sla_seconds=1.0, hard_sla_seconds=600.0), _held,
    ), records, "feed", asks_again=True),
    UseCase("record changes", (_has("a"), _has("b", "fail"), _held), records, "feed", asks_again=True),
    UseCase("bury a dead letter", (_has("a"), _purge), _buries, "digger"),
)  # fmt: skip


def worker_comes(scene: Scene) -> None:
    """Another worker serves every ticket that can be seen."""
    process, ports = scene.cast.start("worker")
    other = Scene(scene.cast, process, ports, scene.helper)
    while found := scene.helper.tickets.receive("default", 1, 0):
        other.known["delivery"] = found[0]
        other.serve()


def _worker_comes_late(scene: Scene) -> None:
    """The same, after all leases have lapsed and all delays of seconds have passed."""
    scene.wait(round(scene.cast.home.lease * 1000) + 1)
    worker_comes(scene)


def _clock_comes(scene: Scene) -> None:
    tick.tick(scene.helper, scene.cast.home.tick)


def _slot_goes_to_another(scene: Scene) -> None:
    """The clock comes late enough to free slots, and a worker claims a better job that has just come, and keeps it."""
    scene.submit("late", priority=10)
    _clock_comes_late(scene)
    while found := scene.helper.tickets.receive("default", 1, 0):
        process, ports = scene.cast.start("worker")
        ticket = ticket_for(scene.job(decode(found[0].body).job_id))
        claimed = claim.claim_for(ports, ticket, process.name, scene.cast.home.lease, receives=1)
        if isinstance(claimed, claim.Claimed):
            scene.cast.watch.runs(claimed.job)
            scene.cast.watch.lets_go(process)


def _clock_comes_late(scene: Scene) -> None:
    scene.wait(3 * MINUTE)
    tick.tick(scene.helper, scene.cast.home.tick)


def _clock_comes_and_it_is_retried(scene: Scene) -> None:
    scene.wait(1_000)
    tick.tick(scene.helper, scene.cast.home.tick)
    control.retry(scene.helper, CALLER, "a")


VISITS: Mapping[str, Step] = {
    "a worker comes between": worker_comes,
    "a worker comes between, later": _worker_comes_late,
    "the clock comes between": _clock_comes,
    "the clock comes between, later": _clock_comes_late,
    "the clock comes between, a second later, and it is retried": _clock_comes_and_it_is_retried,
    "cancelled meanwhile": lambda scene: control.cancel(scene.helper, CALLER, "a"),
    "retried meanwhile": lambda scene: control.retry(scene.helper, CALLER, "a"),
    "raised meanwhile": lambda scene: control.reprioritise(scene.helper, CALLER, "a", 10),
    "erased meanwhile": lambda scene: control.erase(scene.helper, CALLER, "a"),
}
"""What somebody else may do between two calls."""
LIMITED_VISITS: Mapping[str, Step] = {"the clock comes between, then a worker that stays": _slot_goes_to_another}
"""And where queues have limits."""
