"""What the tests of limited queues share: a home of either kind with services on top, and a watch over what runs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from typing import Any

from home import ADMIN, Home
from support.homes import Home as Stores
from tidegate.adapters.aws.ports import LEASE_GRACE_MS
from tidegate.domain.job import TERMINAL, Job, State
from tidegate.domain.spec import JobSpec
from tidegate.domain.ticket import Lane, ticket_for
from tidegate.execution.context import JobContext
from tidegate.execution.runner import Runner
from tidegate.ports import JobKey, Ports, Timer
from tidegate.runtime import App
from tidegate.service.claim import Claimed, claim_for
from tidegate.service.policies import put_queue
from tidegate.service.submit import Submitted, submit
from tidegate.service.tick import tick
from tidegate.settings import Settings

PORT_NAMES = ("jobs", "tickets", "blobs", "queues", "lanes", "slots", "rates", "backlogs", "unique_keys", "timers")
THREADS = 10
LONG_LEASE = 3_600.0


NARROW = Lane("main", "narrow")
LEASE = 10.0
LAPSED = LEASE + LEASE_GRACE_MS / 1000 + 1


class Crash(BaseException):
    """The process dies here."""


def home_of(stores: Stores) -> Home:
    """Either home, with the services on top."""
    return Home(App(stores.ports, Settings(pools={key: {} for key in stores.ports.pools})), stores.clock)


def limited(home: Home, name: str = "narrow", **settings: Any) -> str:
    """A queue with these settings."""
    put_queue(home.ports, ADMIN, name, settings)
    return name


class Watched:
    """A handler that notes how many run at once, by key too, and in which order they started."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._seconds = seconds
        self._running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.started: list[str] = []

    def __call__(self, job: JobContext) -> None:
        names = ("all", f"key {job.data}")
        with self._lock:
            self.started.append(job.id)
            for name in names:
                self._running[name] += 1
                self.most[name] = max(self.most[name], self._running[name])
        time.sleep(self._seconds)
        with self._lock:
            for name in names:
                self._running[name] -= 1


def jobs_of(home: Home, jobs: Sequence[Job]) -> list[Job]:
    """The jobs as they are now."""
    found = home.ports.jobs.get([JobKey(job.tenant, job.id) for job in jobs])
    assert None not in found
    return [job for job in found if job is not None]


def held(ports: Ports) -> dict[str, int]:
    """How many slots are held, by queue and key; semaphores that nobody holds are left out."""
    holdings = ports.slots.all(None, 1_000)
    return {f"{h.semaphore.lane.queue}/{h.semaphore.key}": len(h.holders) for h in holdings if h.holders}


def run_all(home: Home, jobs: Sequence[Job], work: Callable[[JobContext], Any], threads: int = THREADS) -> None:
    """Serve tickets on several threads until all jobs have ended. Time passes where a thread has nothing to do."""
    idle = 0.002 if home.app.ports.together is not nullcontext else 0.1  # asking moto in vain keeps others waiting
    errors: list[BaseException] = []
    ended = threading.Event()

    def worker(number: int) -> None:
        runner = Runner(
            home.ports, home.runner(work=work)._executors, worker_id=f"w-{number}", lease_seconds=LONG_LEASE
        )
        try:
            while not ended.is_set():
                if home.serve_one(runner) is None:
                    ended.wait(idle)
                    home.clock.advance(idle * 5)
        except BaseException as error:
            errors.append(error)
        finally:
            home.ports.close()

    running = [threading.Thread(target=worker, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    give_up = time.monotonic() + 90
    try:
        while any(job.state not in TERMINAL for job in jobs_of(home, jobs)):
            assert not errors, errors
            assert time.monotonic() < give_up, Counter(job.state for job in jobs_of(home, jobs))
            time.sleep(0.05)
    finally:
        ended.set()
        for thread in running:
            thread.join()
    assert errors == []


def let_pass(home: Home, runner: Runner, seconds: float, until: Callable[[], bool], step: float = 31.0) -> None:
    """Let time pass, at most so many seconds, with the clock's minute each step and tickets served by `runner`."""
    for _ in range(round(seconds / step)):
        home.drain(runner)
        if until():
            return
        tick(home.ports, step, None)
        home.clock.advance(step)


def note_running(home: Home, jobs: Sequence[Job]) -> None:
    """What the change feed does with running jobs: the clock looks at them when their leases are due."""
    running = [job for job in jobs_of(home, jobs) if job.state is State.ACTIVE]
    home.ports.timers.set([Timer(job.lease_until or 0, job.tenant, job.id, job.attempt) for job in running])


def all_quiet(home: Home, jobs: Sequence[Job]) -> bool:
    """Whether all jobs have ended and nobody holds a slot."""
    return all(job.state in TERMINAL for job in jobs_of(home, jobs)) and held(home.ports) == {}


class _Port:
    """A port whose calls are counted; at one of them the process dies."""

    def __init__(self, real: Any, name: str, calls: Calls) -> None:
        self._real = real
        self._name = name
        self._calls = calls

    def __getattr__(self, method: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            return self._calls.made(f"{self._name}.{method}", lambda: getattr(self._real, method)(*arguments, **named))

        return call


class Calls:
    """Counts the calls to all ports; dies before or right after the one numbered `fatal`, from 1."""

    def __init__(self, fatal: int = 0, *, after: bool = False) -> None:
        self.names: list[str] = []
        self._fatal = fatal
        self._after = after

    def made(self, name: str, effect: Callable[[], Any]) -> Any:
        self.names.append(name)
        fatal = len(self.names) == self._fatal
        if fatal and not self._after:
            raise Crash
        answer = effect()
        if fatal:
            raise Crash
        return answer

    def watching(self, home: Home) -> Home:
        """The same home, as a process that dies would see it."""
        ports = {each.name for each in fields(Ports)} & set(PORT_NAMES)
        return home.with_ports(**{name: _Port(getattr(home.ports, name), name, self) for name in ports})


def without_transactions(home: Home) -> Home:
    """The same home where every call is a commit of its own, as in the cloud."""
    return Home(replace(home.app, ports=replace(home.ports, together=nullcontext)), home.clock)


def submitted(home: Home, specs: list[JobSpec]) -> list[Any]:
    found: list[Any] = []
    for start in range(0, len(specs), 100):
        found += submit(home.ports, ADMIN, specs[start : start + 100])
    assert all(isinstance(each, Submitted) for each in found)
    return [each.job for each in found]


def claim(home: Home, job_id: str, receives: int = 1) -> Any:
    return claim_for(home.ports, ticket_for(home.job(job_id)), "w-1", LEASE, receives=receives)


def jobs_named(home: Home, ids: Sequence[str]) -> list[Job]:
    return [home.job(job_id) for job_id in ids]


def started(home: Home, job_id: str) -> Any:
    found = claim(home, job_id)
    assert isinstance(found, Claimed), found
    return found.job
