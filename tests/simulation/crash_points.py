"""Every use case, stopped at every one of its calls to a port; then the rest of the system must make it good.

Three ways to stop it: the process dies (before the call, after it, in the middle of a batch), the call fails
(refused, or applied and reported as failed), or another use case comes between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from tidegate.domain.errors import TidegateError
from tidegate.domain.job import Ms

from . import machinery
from .cast import EMBEDDED, PULL, Cast, Home
from .dag_runs import forget_what_is_remembered
from .ending import check_end, database, on_stage, recovery_bound, supervise
from .faults import Faults, Kind
from .run_cases import RUN_CASES, RUN_VISITS
from .store import Store
from .use_cases import LIMITED_VISITS, USE_CASES, VISITS, Scene, Step, UseCase
from .watch import Broken, Watch
from .world import Crash, Process, World

HOMES = (EMBEDDED, PULL)
ALL_CASES = (*USE_CASES, *RUN_CASES)
DEATHS = (Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.TORN)
FAILURES = (Kind.REFUSED, Kind.UNREPORTED, Kind.PARTIAL)


class AtCall(Faults):
    """One fault, at one call of one process; or a visit just before it."""

    def __init__(self, number: int, kind: Kind | None, visit: Step | None = None) -> None:
        super().__init__()
        self.process: Process | None = None
        self.scene: Scene | None = None
        self.struck = False
        self.calls: list[str] = []
        self._number = number
        self._kind = kind
        self._visit = visit

    def at_call(self, process: Process, call: str) -> Kind | None:
        """See `Faults.at_call`."""
        if process is not self.process:
            return None
        self.calls.append(call)
        if process.calls != self._number:
            return None
        self.struck = True
        if self._visit is not None and self.scene is not None:
            with suppress(TidegateError):
                self._visit(self.scene)
        return self._kind


@dataclass(frozen=True, slots=True)
class Point:
    """One way to stop a use case, and what came of it."""

    use_case: str
    home: str
    number: int
    how: str
    broken: tuple[tuple[Broken, str], ...]
    recovery: Ms


@dataclass(frozen=True, slots=True)
class Summary:
    """Many points."""

    count: int
    bad: tuple[Point, ...]
    recovery: Ms

    def told(self, what: str) -> str:
        """One line."""
        lost, double = (sum(_breaks(point, rule) for point in self.bad) for rule in (Broken.LOST, Broken.DOUBLED))
        others = sum(not _breaks(point, Broken.LOST) and not _breaks(point, Broken.DOUBLED) for point in self.bad)
        worst = f"worst recovery {self.recovery / 1000:.0f} s"
        return f"{self.count} {what}, {lost} lost, {double} double, {others} otherwise wrong; {worst}"


def summed_up(points: Iterable[Point]) -> Summary:
    """Count the points, and keep those where a rule broke."""
    seen = list(points)
    bad = tuple(point for point in seen if point.broken)
    return Summary(len(seen), bad, max(point.recovery for point in seen))


def _breaks(point: Point, rule: Broken) -> bool:
    return any(broken is rule for broken, _ in point.broken)


def crash_points(homes: tuple[Home, ...] = HOMES, cases: Sequence[UseCase] = ALL_CASES) -> Iterator[Point]:
    """Die before, after and within every call of every use case."""
    return (point for home in homes for case in cases for kind in DEATHS for point in _at_every_call(case, home, kind))


def failed_calls(homes: tuple[Home, ...] = HOMES, cases: Sequence[UseCase] = ALL_CASES) -> Iterator[Point]:
    """Let every call of every use case fail."""
    return (
        point for home in homes for case in cases for kind in FAILURES for point in _at_every_call(case, home, kind)
    )


def visits(homes: tuple[Home, ...] = HOMES, cases: Sequence[UseCase] = ALL_CASES) -> Iterator[Point]:
    """Before every call of every use case, let somebody else do something with the same jobs."""
    return (point for home in homes for case in cases for point in visits_of(case.name, home))


def visits_of(use_case: str, home: Home) -> Iterator[Point]:
    """The same for one use case."""
    (case,) = (case for case in ALL_CASES if case.name == use_case)
    if case in RUN_CASES and case.role == "feed" and home is EMBEDDED:
        return iter(())  # what the pump writes is one transaction: nobody writes in between
    visits = RUN_VISITS if case in RUN_CASES else {**VISITS, **LIMITED_VISITS} if case.limited else VISITS
    return (point for name, visit in visits.items() for point in _visited(case, home, name, visit))


def _at_every_call(case: UseCase, home: Home, kind: Kind) -> Iterator[Point]:
    for number, call in enumerate(calls_of(case, home), start=1):
        if kind in (Kind.TORN, Kind.PARTIAL) and " of " not in call:
            continue
        watch = perform(case, home, AtCall(number, kind))
        yield Point(case.name, home.name, number, kind, tuple(watch.broken), watch.worst_recovery)


def _visited(case: UseCase, home: Home, name: str, visit: Step) -> Iterator[Point]:
    for number in range(1, len(calls_of(case, home)) + 1):
        watch = perform(case, home, AtCall(number, None, visit))
        yield Point(case.name, home.name, number, name, tuple(watch.broken), watch.worst_recovery)


@cache
def calls_of(case: UseCase, home: Home) -> tuple[str, ...]:
    """The calls that the use case makes when nothing goes wrong."""
    faults = AtCall(0, None)
    watch = perform(case, home, faults)
    assert not watch.broken, f"{case.name} fails by itself: {watch.broken}"
    return tuple(faults.calls)


def perform(case: UseCase, home: Home, faults: AtCall) -> Watch:
    """Play the use case with its fault, then let everybody else in and wait for quiet."""
    world = World(case.name)
    watch = Watch(world, lease=round(home.lease * 1000), skew=0, recovery_bound=recovery_bound(home))
    cast = Cast(world, home, faults, watch, Store(world, faults, watch, database(), home.visibility, latency=0))

    def play() -> None:
        process, ports = cast.start(case.role)
        scene = faults.scene = Scene(cast, process, ports, cast.start("api")[1])
        for step in case.before:
            step(scene)
        forget_what_is_remembered()
        process.calls, faults.process = 0, process
        with suppress(Crash, TidegateError):
            case.act(scene)
        faults.process = None
        watch.lets_go(process)
        if case.asks_again and faults.struck:
            scene.process, scene.ports = (process, ports) if process.alive else cast.start(case.role)
            case.act(scene)
        machinery.everybody(cast, workers=2, clock_after=1_000)
        supervise(cast, world.now)

    with on_stage(cast):
        world.spawn(play)
        world.run()
    check_end(cast)
    return watch
