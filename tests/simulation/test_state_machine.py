"""Random sequences of acts on real services, each judged by a small model of what the law allows."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from tidegate.adapters.sqlite.ports import open_ports
from tidegate.domain.errors import LeaseLost, WrongState
from tidegate.domain.job import RESTARTABLE, TERMINAL, WAITING, ErrorType, Job, State
from tidegate.domain.spec import JobSpec
from tidegate.domain.ticket import ticket_for
from tidegate.ports import JobKey, Ports
from tidegate.service import control, settle, submit, tick
from tidegate.service.claim import Claimed, Later, Spent, claim_for

from .cast import CALLER
from .store import open_store
from .world import START

LEASE = 10.0


@dataclass(slots=True)
class Modelled:
    """What the model knows of one job. It waits from `wake_at`, or is held until `lease_until`."""

    state: State = State.CREATED
    attempt: int = 0
    allowed: int = 1
    wake_at: int = 0
    lease_until: int = 0
    asked_to_stop: bool = False

    def may_start(self, now: int) -> bool:
        """Waiting, and its time has come; or held by somebody whose lease ran out, with attempts left."""
        if self.state in WAITING:
            return self.wake_at <= now
        return self.lapsed(now) and self.attempt < self.allowed and not self.asked_to_stop

    def lapsed(self, now: int) -> bool:
        """Held, but no longer."""
        return self.state is State.ACTIVE and self.lease_until <= now

    def holds(self, attempt: int) -> bool:
        """Whether this attempt is the one that may settle."""
        return self.state is State.ACTIVE and self.attempt == attempt

    def start(self, now: int) -> None:
        """An attempt begins."""
        self.state, self.attempt, self.lease_until = State.ACTIVE, self.attempt + 1, now + round(LEASE * 1000)

    def fail(self, wake_at: int) -> None:
        """An attempt failed: another, or the end."""
        if self.attempt >= self.allowed:
            self.state = State.FAILED
        else:
            self.rest(wake_at)

    def rest(self, wake_at: int) -> None:
        """Wait for another attempt, unless a stop was asked for."""
        self.state, self.wake_at = (State.CANCELLED, 0) if self.asked_to_stop else (State.RETRY, wake_at)

    def restart(self, retries: int) -> None:
        """From the beginning, with fresh attempts."""
        self.state, self.wake_at, self.asked_to_stop = State.CREATED, 0, False
        self.allowed = self.attempt + 1 + retries


class Scheduler(RuleBasedStateMachine):
    """Jobs under random acts."""

    jobs = Bundle("jobs")
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.database = open_store()
        self.models: dict[str, Modelled] = {}
        self.retries: dict[str, int] = {}
        self.ports: Ports = open_ports(
            Path("/nowhere"),
            now=lambda: self.now,
            new_id=lambda: f"j{len(self.models)}",
            rng=random.Random(1),
            database=self.database,
        )

    def teardown(self) -> None:
        self.database.close()

    def job(self, job_id: str) -> Job:
        (job,) = self.ports.jobs.get([JobKey("main", job_id)])
        assert job is not None
        return job

    @rule(target=jobs, priority=st.integers(0, 10), delay=st.sampled_from([0, 0, 5, 2_000]), retries=st.integers(0, 2))
    def submit(self, priority: int, delay: int, retries: int) -> str:
        spec = JobSpec(
            name="work", priority=priority, start_after=self.now + delay * 1000 if delay else None, retry_limit=retries
        )
        made = submit.submit_one(self.ports, CALLER, spec)
        self.models[made.job.id] = Modelled(allowed=1 + retries, wake_at=self.now + delay * 1000 if delay else 0)
        self.retries[made.job.id] = retries
        return made.job.id

    @rule(target=held, job_id=jobs)
    def claim(self, job_id: str) -> Any:
        found = claim_for(self.ports, ticket_for(self.job(job_id)), "w", LEASE, receives=2)
        if not isinstance(found, Claimed):
            self._nothing_to_claim(job_id, found)
            return multiple()
        self._give_up_if_last(job_id, ahead=found.job.rank < self.job(job_id).rank)
        model = self.models[found.job.id]
        assert model.may_start(self.now)
        model.start(self.now)
        assert found.job.attempt == model.attempt
        return found.job

    def _nothing_to_claim(self, job_id: str, found: Later | Spent) -> None:
        model = self.models[job_id]
        self._give_up_if_last(job_id, ahead=False)
        assert not model.may_start(self.now)
        assert isinstance(found, Spent) == (model.state in TERMINAL)

    def _give_up_if_last(self, job_id: str, *, ahead: bool) -> None:
        """A lost job without attempts left ends when its ticket comes, unless another job was `ahead` of it."""
        model = self.models[job_id]
        if model.lapsed(self.now) and not model.may_start(self.now) and not ahead:
            model.state = State.CANCELLED if model.asked_to_stop else State.FAILED

    @rule(job=held)
    def heartbeat(self, job: Job) -> None:
        if self._settles(job, lambda: settle.heartbeat(self.ports, job, LEASE)):
            self.models[job.id].lease_until = self.now + round(LEASE * 1000)

    @rule(job=held)
    def complete(self, job: Job) -> None:
        if self._settles(job, lambda: settle.complete(self.ports, job, 1)):
            self.models[job.id].state = State.COMPLETED

    @rule(job=held, permanent=st.booleans())
    def fail(self, job: Job, permanent: bool) -> None:
        def act() -> Any:
            return settle.fail(self.ports, job, ErrorType.AGENT, "x", permanent=permanent, reach=900_000)

        if self._settles(job, act):
            model = self.models[job.id]
            if permanent:
                model.state = State.FAILED
            else:
                model.fail(self.now + 2_000 * 2 ** self.retries_used(job))

    @rule(job=consumes(held), seconds=st.sampled_from([0, 3, 1_000]))
    def snooze(self, job: Job, seconds: int) -> None:
        if self._settles(job, lambda: settle.snooze(self.ports, job, seconds, reach=900_000)):
            model = self.models[job.id]
            model.rest(self.now + seconds * 1000)
            model.allowed += model.state is State.RETRY

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        model = self.models[job_id]
        if model.state in TERMINAL - {State.CANCELLED}:
            with pytest.raises(WrongState):
                control.cancel(self.ports, CALLER, job_id)
            return
        control.cancel(self.ports, CALLER, job_id)
        model.asked_to_stop = model.asked_to_stop or model.state is State.ACTIVE
        model.state = model.state if model.state is State.ACTIVE else State.CANCELLED

    @rule(job_id=jobs)
    def retry(self, job_id: str) -> None:
        model = self.models[job_id]
        if model.state not in RESTARTABLE:
            with pytest.raises(WrongState):
                control.retry(self.ports, CALLER, job_id)
            return
        control.retry(self.ports, CALLER, job_id)
        model.restart(self.retries[job_id])

    @rule(job_id=jobs, priority=st.integers(0, 10))
    def reprioritise(self, job_id: str, priority: int) -> None:
        if self.models[job_id].state in WAITING:
            assert control.reprioritise(self.ports, CALLER, job_id, priority).priority == priority

    @rule(seconds=st.sampled_from([1, 3, 11, 100, 1_000]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1000

    @rule(period=st.sampled_from([1.0, 60.0]))
    def the_clock_ticks(self, period: float) -> None:
        tick.tick(self.ports, period)

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        for job_id, model in self.models.items():
            job = self.job(job_id)
            assert (job.state, job.attempt) == (model.state, model.attempt)
            assert job.attempt <= job.attempts_allowed == model.allowed
            if model.state is State.ACTIVE:
                assert (job.lease_until, job.cancel_requested) == (model.lease_until, model.asked_to_stop)

    def retries_used(self, job: Job) -> int:
        return job.retry_count

    def _settles(self, job: Job, act: Any) -> bool:
        """Whether the act was allowed; the law says when."""
        if self.models[job.id].holds(job.attempt):
            act()
            return True
        with pytest.raises(LeaseLost):
            act()
        return False


TestScheduler = Scheduler.TestCase
TestScheduler.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
