"""The life of attempts: retries, leases, fencing, time-outs, cancellation, lost tickets."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest

from home import ADMIN, LEASE_SECONDS, Home
from tidegate.domain.errors import LeaseLost
from tidegate.domain.job import ErrorType, State
from tidegate.domain.ticket import ticket_for
from tidegate.execution.context import JobContext, PermanentError
from tidegate.execution.runner import Again, Done
from tidegate.service import settle
from tidegate.service.claim import Claimed, Spent, claim_for
from tidegate.service.control import cancel, erase, retry


def boom(job: JobContext) -> None:
    raise ValueError("bad page")


def claimed(home: Home, job_id: str, worker: str = "w-1") -> Any:
    claim = claim_for(home.ports, ticket_for(home.job(job_id)), worker, LEASE_SECONDS, receives=1)
    assert isinstance(claim, Claimed)
    return claim.job


def test_a_result_is_recorded_with_its_times(home: Home) -> None:
    job = home.submit(data={"pages": [1, 2, 3]})
    home.clock.advance(5)

    def work(context: JobContext) -> dict[str, Any]:
        home.clock.advance(2)
        return {"pages": len(context.data["pages"]), "attempt": context.attempt}

    home.drain(home.runner(work=work))
    done = home.job(job.id)
    assert (done.state, done.result, done.attempt, done.retry_count) == (
        State.COMPLETED, {"pages": 3, "attempt": 1}, 1, 0,
    )  # fmt: skip
    assert (done.started_at, done.completed_at) == (job.created_at + 5_000, job.created_at + 7_000)
    assert done.worker_id == "w-1"
    assert done.lease_until is None


def test_failures_are_retried_after_two_four_eight_seconds_then_final(home: Home) -> None:
    job = home.submit()
    starts: list[int] = []

    def work(context: JobContext) -> None:
        starts.append(home.clock.now())
        raise ValueError("bad page")

    home.settle(home.runner(work=work), seconds=60, step=0.5)
    assert [(later - earlier) // 1000 for earlier, later in itertools.pairwise(starts)] == [2, 4, 8]
    failed = home.job(job.id)
    assert (failed.state, failed.attempt, failed.retry_count) == (State.FAILED, 4, 3)
    assert (failed.error_type, failed.error_message) == (ErrorType.AGENT, "ValueError: bad page")
    assert [each.attempt for each in failed.failures] == [1, 2, 3, 4]


def test_a_retry_rides_on_its_own_ticket(home: Home) -> None:
    """The visibility time-out is the backoff: no second message is sent."""
    home.submit()
    verdict = home.serve_one(home.runner(work=boom))
    assert verdict == Again(2.0, ran=True)
    assert sum(sum((d.visible, d.in_flight, d.delayed)) for d in home.ports.tickets.depth("default").values()) == 1


def test_a_permanent_error_is_not_retried(home: Home) -> None:
    job = home.submit()

    def work(context: JobContext) -> None:
        raise PermanentError("no such page")

    assert home.serve_one(home.runner(work=work)) == Done()
    assert (home.job(job.id).state, home.job(job.id).error_message) == (State.FAILED, "no such page")


@pytest.mark.parametrize("value", [float("nan"), {1}, object(), b"bytes"])
def test_a_result_that_is_not_json_fails_for_good(home: Home, value: Any) -> None:
    job = home.submit()
    home.drain(home.runner(work=lambda context: value))
    failed = home.job(job.id)
    assert (failed.state, failed.error_type, failed.attempt) == (State.FAILED, ErrorType.VALIDATION, 1)
    assert "result" in (failed.error_message or "")


def test_a_name_that_nobody_serves_fails_clearly(home: Home) -> None:
    job = home.submit("unknown")
    home.drain(home.runner(work=boom))
    failed = home.job(job.id)
    assert (failed.state, failed.error_type) == (State.FAILED, ErrorType.VALIDATION)
    assert "unknown" in (failed.error_message or "")
    assert "work" in (failed.error_message or "")


def test_a_nonsense_ticket_is_put_aside_and_touches_nothing(home: Home) -> None:
    from tidegate.ports import Delivery

    job = home.submit()
    verdicts: list[Any] = []
    nonsense = Delivery("hello", "default/low", "999:1", 1)
    home.runner(work=boom).serve(nonsense, verdicts.append)
    assert verdicts == [Done(ran=False)]
    assert home.job(job.id).state is State.CREATED


def test_a_zombie_changes_nothing(home: Home) -> None:
    """Who comes back after the lease was lost may not settle, extend or complete the job."""
    job = home.submit()
    zombie = claimed(home, job.id, "zombie")
    home.clock.advance(LEASE_SECONDS + 1)
    holder = claimed(home, job.id, "holder")
    assert (zombie.attempt, holder.attempt) == (1, 2)
    for act in (
        lambda: settle.complete(home.ports, zombie, {"by": "zombie"}),
        lambda: settle.heartbeat(home.ports, zombie, 10),
        lambda: settle.fail(home.ports, zombie, ErrorType.AGENT, "late", permanent=False, reach=1),
    ):
        with pytest.raises(LeaseLost):
            act()
    settle.complete(home.ports, holder, {"by": "holder"})
    with pytest.raises(LeaseLost):
        settle.complete(home.ports, holder, {"by": "holder again"})
    assert home.job(job.id).result == {"by": "holder"}


def test_a_lease_is_not_taken_while_it_lasts(home: Home) -> None:
    job = home.submit()
    held = claimed(home, job.id)
    claim = claim_for(home.ports, ticket_for(held), "w-2", LEASE_SECONDS, receives=1)
    assert not isinstance(claim, Claimed)
    home.clock.advance(LEASE_SECONDS - 1)
    settle.heartbeat(home.ports, held, LEASE_SECONDS)
    home.clock.advance(2)
    assert not isinstance(claim_for(home.ports, ticket_for(held), "w-2", LEASE_SECONDS, receives=1), Claimed)


def test_a_job_that_kills_its_workers_is_bounded(home: Home) -> None:
    """Attempts count claims: whoever dies has used one up, and the job ends FAILED with all on record."""
    job = home.submit(retry_limit=2)
    for _ in range(3):
        claimed(home, job.id)
        home.clock.advance(LEASE_SECONDS + 1)
    assert isinstance(claim_for(home.ports, ticket_for(home.job(job.id)), "w", LEASE_SECONDS, receives=2), Spent)
    failed = home.job(job.id)
    assert (failed.state, failed.error_type, failed.attempt) == (State.FAILED, ErrorType.SYSTEM, 3)
    assert len(failed.failures) == 3


def test_a_running_job_whose_worker_and_ticket_are_lost_is_recovered(home: Home) -> None:
    job = home.submit()
    delivery = home.receive()
    assert delivery is not None
    claimed(home, job.id)
    home.ports.tickets.finish([delivery])
    home.pump()
    home.settle(home.runner(work=lambda context: "done"), seconds=LEASE_SECONDS + 3)
    assert (home.job(job.id).state, home.job(job.id).attempt) == (State.COMPLETED, 2)


def test_a_job_without_a_ticket_is_found_in_its_lane(home: Home) -> None:
    """A crash between the put and the send."""

    class Lost:
        def send(self, tickets: Any) -> None:
            return

    crashed = home.with_ports(tickets=Lost())
    job = crashed.submit()
    assert home.receive() is None
    home.settle(home.runner(work=lambda context: "done"), seconds=180)
    assert home.job(job.id).state is State.COMPLETED


def test_a_delayed_job_starts_at_its_time_even_beyond_the_reach_of_a_delay(home: Home) -> None:
    started: list[int] = []
    for seconds in (1, 899, 900, 901, 86_400):
        home.submit(start_after=home.clock.now() + seconds * 1000)
    begin = home.clock.now()
    runner = home.runner(work=lambda context: started.append(home.clock.now()))
    home.settle(runner, seconds=910)
    home.clock.advance(85_000)
    home.settle(runner, seconds=700)
    assert [(at - begin) // 1000 for at in started] == [1, 899, 900, 901, 86_400]


def test_a_backoff_beyond_twelve_hours_is_kept_by_the_clock(home: Home) -> None:
    job = home.submit(retry_delay=50_000, retry_limit=1)
    home.drain(home.runner(work=boom))
    home.clock.advance(49_990)
    runner = home.runner(work=lambda context: "done")
    home.settle(runner, seconds=8)
    assert home.job(job.id).state is State.RETRY
    home.settle(runner, seconds=10)
    assert home.job(job.id).state is State.COMPLETED


def test_a_job_that_waits_too_long_expires(home: Home) -> None:
    job = home.submit(expire_in_seconds=30)
    home.clock.advance(31)
    home.drain(home.runner(work=boom))
    assert (home.job(job.id).state, home.job(job.id).attempt) == (State.EXPIRED, 0)


def test_cancelling(home: Home) -> None:
    """Waiting jobs stop at once; a running one is asked to, and ends CANCELLED when its handler obeys."""
    waiting = home.submit()
    assert cancel(home.ports, ADMIN, waiting.id).state is State.CANCELLED
    running = home.submit()
    holder = claimed(home, running.id)
    assert cancel(home.ports, ADMIN, running.id).state is State.ACTIVE
    assert settle.heartbeat(home.ports, holder, 10).cancel_requested
    assert settle.fail(home.ports, holder, ErrorType.AGENT, "x", permanent=False, reach=1).job.state is State.CANCELLED


def test_a_handler_sees_that_it_is_to_stop(home: Home) -> None:
    job = home.submit()
    seen = threading.Event()

    def work(context: JobContext) -> str:
        cancel(home.ports, ADMIN, context.id)
        context.heartbeat()
        if context.cancelled:
            seen.set()
            return "ignored"
        return "finished"

    home.drain(home.runner(work=work))
    assert seen.is_set()
    assert (home.job(job.id).state, home.job(job.id).result) == (State.CANCELLED, None)


def test_a_cancelled_job_whose_worker_vanished_ends(home: Home) -> None:
    job = home.submit()
    claimed(home, job.id)
    cancel(home.ports, ADMIN, job.id)
    home.clock.advance(LEASE_SECONDS + 1)
    home.settle(home.runner(work=boom), seconds=30)
    assert home.job(job.id).state is State.CANCELLED


def test_an_ended_job_can_be_started_over_and_erased(home: Home) -> None:
    job = home.submit(retry_limit=0)
    home.drain(home.runner(work=boom))
    assert retry(home.ports, ADMIN, job.id).state is State.CREATED
    home.drain(home.runner(work=lambda context: "second"))
    done = home.job(job.id)
    assert (done.state, done.result, done.attempt) == (State.COMPLETED, "second", 2)
    erase(home.ports, ADMIN, job.id)
    with pytest.raises(AssertionError):
        home.job(job.id)


def test_a_snooze_and_a_skip(home: Home) -> None:
    job, other = home.submit(retry_limit=0), home.submit("other")
    turns: list[int] = []

    def work(context: JobContext) -> Any:
        turns.append(context.attempt)
        return context.snooze(60) if len(turns) < 4 else "at last"

    home.settle(home.runner(work=work, other=lambda context: context.skip("nothing to do")), seconds=200)
    assert (home.job(job.id).state, home.job(job.id).retry_count, turns) == (State.COMPLETED, 0, [1, 2, 3, 4])
    assert (home.job(other.id).state, home.job(other.id).reason) == (State.SKIPPED, "nothing to do")


def test_a_paused_queue_starts_nothing(home: Home) -> None:
    from tidegate.service.policies import pause_queue, resume_queue

    job = home.submit()
    pause_queue(home.ports, ADMIN, "default", "maintenance")
    assert home.serve_one(home.runner(work=boom)) == Again(30.0)
    assert home.job(job.id).attempt == 0
    resume_queue(home.ports, ADMIN, "default")
    home.clock.advance(31)
    home.drain(home.runner(work=lambda context: 1))
    assert home.job(job.id).state is State.COMPLETED


@pytest.mark.parametrize("on_main_thread", [True, False])
def test_an_attempt_that_takes_too_long_is_ended(home: Home, on_main_thread: bool) -> None:
    """On the main thread an alarm breaks even a sleep; elsewhere the loop is interrupted at its next step."""
    job = home.submit(timeout=0.3, retry_limit=0)

    def work(context: JobContext) -> None:
        if on_main_thread:
            time.sleep(30)
        while True:
            time.sleep(0.01)

    runner = home.runner(work=work)
    if on_main_thread:
        home.drain(runner)
    else:
        thread = threading.Thread(target=lambda: home.drain_and_close(runner))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    failed = home.job(job.id)
    assert (failed.state, failed.error_type) == (State.FAILED, ErrorType.TIMEOUT)


def test_progress_and_leases_are_kept_while_a_handler_runs(home: Home) -> None:
    job = home.submit()
    seen: list[Any] = []

    def work(context: JobContext) -> None:
        context.progress(0.5, "page 3")
        end = time.monotonic() + 5
        while not seen and time.monotonic() < end:
            time.sleep(0.05)
            progress = home.job(job.id).progress
            if progress is not None:
                seen.append(progress)

    home.drain(home.runner(work=work))
    assert (seen[0].fraction, seen[0].message) == (0.5, "page 3")


def test_large_values_are_kept_beside_the_table(home: Home) -> None:
    big = "x" * 300_000
    job = home.submit(data={"big": big})
    assert home.job(job.id).data is None
    home.drain(home.runner(work=lambda context: {"back": context.data["big"]}))
    from tidegate.service.control import get_job

    done = get_job(home.ports, ADMIN, job.id)
    assert (done.data, done.result) == ({"big": big}, {"back": big})


def test_counters_equal_a_recount(home: Home) -> None:
    """However often a batch of changes arrives."""
    for n in range(12):
        home.submit("work" if n % 3 else "boom", retry_limit=0)
    home.drain(home.runner(work=lambda context: 1, boom=boom))
    feed = home.app.feed
    assert feed is not None
    from tidegate import runtime
    from tidegate.local.functions import invoke

    with runtime.use(home.app):
        records = list(feed.read(1_000))
        for _ in range(3):
            invoke("changes", {"Records": records})
    found = home.ports.figures.read("main", "states")
    assert dict(found) == {"COMPLETED": 8, "FAILED": 4}
