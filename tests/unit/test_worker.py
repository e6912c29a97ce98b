"""`tidegate worker` inside: its threads, filters, limits and its end; over the home itself and over HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
from tidegate_functions.api.handler import handler

from home import ADMIN, Clock, Home, executors
from support.jobs import make_job
from tidegate import runtime
from tidegate.client import Retries
from tidegate.client.work import WorkClient
from tidegate.domain.errors import InvalidInput, LeaseLost, Unavailable
from tidegate.domain.guarded import Lease, reclaim_if_lapsed
from tidegate.domain.job import ErrorType, Job, State
from tidegate.domain.queue import Queue
from tidegate.execution.attempt_runner import AttemptRunner
from tidegate.execution.context import JobContext, PermanentError
from tidegate.execution.presence import Presence, describe
from tidegate.execution.runner import Runner
from tidegate.ports import Worker
from tidegate.service.claim_lanes import Wanted
from tidegate.service.control import cancel
from tidegate.service.workers import list_workers
from tidegate.worker.budget import Budget
from tidegate.worker.claims import ClaimLoop, LaneSource
from tidegate.worker.crew import Crew
from tidegate.worker.http import HttpAttempts, HttpSource, tell
from tidegate.worker.options import WorkerOptions
from tidegate.worker.pull import PullLoop

QUICK = 0.01


class RealClock(Clock):
    """The machine's clock, for what really waits."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


@pytest.fixture
def clock() -> Clock:
    return RealClock()


def run_all(home: Home, loops: list[PullLoop]) -> None:
    """Run loops on threads until they end."""

    def work(loop: PullLoop) -> None:
        loop.run()
        home.close()

    threads = [threading.Thread(target=work, args=(loop,)) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def states(home: Home, jobs: list[Job]) -> list[State]:
    return [home.job(job.id).state for job in jobs]


# The budget.


def test_a_budget_without_a_limit_grants_all() -> None:
    budget = Budget(None)
    assert (budget.reserve(10), budget.reserve(10), budget.is_spent) == (10, 10, False)


def test_a_budget_is_spent_exactly() -> None:
    budget = Budget(3)
    assert (budget.reserve(2), budget.reserve(10), budget.reserve(1)) == (2, 1, 0)
    budget.spend()
    budget.release(1)
    assert (budget.reserve(5), budget.spent, budget.is_spent) == (1, 1, False)
    budget.spend()
    budget.spend()
    assert (budget.reserve(1), budget.is_spent) == (0, True)


@pytest.mark.parametrize("limit", [1, 7, 20])
def test_max_jobs_is_exact_over_threads_that_take_tickets(home: Home, limit: int) -> None:
    jobs = [home.submit() for _ in range(20)]
    options = WorkerOptions(max_jobs=limit, poll_interval=0.05)
    budget = Budget(limit)
    runners = [home.runner(f"w-{number}", work=lambda job: time.sleep(0.005)) for number in range(4)]
    run_all(home, [PullLoop(home.app, runner, options, budget) for runner in runners])
    assert states(home, jobs).count(State.COMPLETED) == limit == budget.spent
    assert states(home, jobs).count(State.CREATED) == 20 - limit
    assert all(home.job(job.id).attempt <= 1 for job in jobs)


def test_threads_run_jobs_at_once(home: Home) -> None:
    meeting = threading.Barrier(3, timeout=10)
    jobs = [home.submit() for _ in range(3)]
    options, budget = WorkerOptions(max_jobs=3, poll_interval=0.05), Budget(3)
    runners = [home.runner(f"w-{number}", work=lambda job: meeting.wait()) for number in range(3)]
    run_all(home, [PullLoop(home.app, runner, options, budget) for runner in runners])
    assert states(home, jobs) == [State.COMPLETED] * 3


@pytest.mark.parametrize("concurrency", [0, 257])
def test_concurrency_has_bounds(concurrency: int) -> None:
    with pytest.raises(InvalidInput):
        WorkerOptions(concurrency=concurrency)


# Workers of some queues.


def lane_loop(home: Home, budget: Budget, threads: int = 1, **functions: Callable[[JobContext], Any]) -> ClaimLoop:
    wanted = Wanted(worker_id="w-1", pool="default", queues=frozenset({"mine"}), lease_seconds=10)
    runners = [home.runner("w-1", **functions) for _ in range(threads)]
    return ClaimLoop(LaneSource(home.ports, wanted, QUICK, QUICK), runners, budget, home.close)


@pytest.fixture
def queues(home: Home) -> Home:
    for name in ("mine", "other"):
        home.ports.queues.put_if_unchanged(Queue(tenant="main", name=name), None)
    return home


@pytest.mark.parametrize("threads", [1, 3])
def test_only_jobs_of_the_queue_are_run_and_no_ticket_is_touched(queues: Home, threads: int) -> None:
    """Even behind a thousand better tickets of another queue."""
    home = queues
    others = [home.submit(queue="other", priority=10) for _ in range(100)]
    mine = [home.submit(queue="mine", priority=0) for _ in range(9)]
    budget = Budget(9)
    assert lane_loop(home, budget, threads, work=lambda job: job.id).run() == 9
    assert states(home, mine) == [State.COMPLETED] * 9
    assert set(states(home, others)) == {State.CREATED}
    deliveries = [each for _ in range(20) for each in home.ports.tickets.receive("default", 10, 0)]
    assert len(deliveries) == 109
    assert {each.receives for each in deliveries} == {1}


def test_a_failing_job_is_retried_by_a_worker_of_its_queue(queues: Home) -> None:
    job = queues.submit(queue="mine", retry_delay=0.2)
    tries: list[int] = []

    def work(context: JobContext) -> str:
        tries.append(context.attempt)
        if context.attempt == 1:
            raise ValueError("not yet")
        return "at last"

    lane_loop(queues, Budget(2), work=work).run()
    assert tries == [1, 2]
    assert queues.job(job.id).result == "at last"


def test_a_stop_lets_running_jobs_finish_and_starts_no_other(queues: Home) -> None:
    jobs = [queues.submit(queue="mine") for _ in range(6)]
    started, go_on = threading.Semaphore(0), threading.Event()

    def work(context: JobContext) -> str:
        started.release()
        assert go_on.wait(10)
        return "done"

    loop = lane_loop(queues, Budget(None), 2, work=work)

    def run() -> None:
        loop.run()
        queues.close()

    running = threading.Thread(target=run)
    running.start()
    assert started.acquire(timeout=5)
    assert started.acquire(timeout=5)
    loop.stop()
    go_on.set()
    running.join(10)
    assert not running.is_alive()
    assert sorted(states(queues, jobs)) == sorted([State.COMPLETED] * 2 + [State.CREATED] * 4)


def test_a_job_claimed_while_a_stop_came_is_given_back_unharmed(queues: Home) -> None:
    job = queues.submit(queue="mine")
    loop = lane_loop(queues, Budget(None), work=lambda context: "ran")
    claim = loop._source.claim

    def stop_meanwhile(limit: int) -> Any:
        loop.stop()
        return claim(limit)

    loop._source.claim = stop_meanwhile  # type: ignore[method-assign]
    loop.run()
    back = queues.job(job.id)
    assert (back.state, back.retry_count, back.failures) == (State.RETRY, 0, ())
    lane_loop(queues, Budget(1), work=lambda context: "ran").run()
    assert queues.job(job.id).result == "ran"


def test_trouble_with_the_store_ends_no_loop(queues: Home) -> None:
    queues.submit(queue="mine")
    loop = lane_loop(queues, Budget(1), work=lambda context: "ran")
    claim, troubles = loop._source.claim, [Unavailable("throttled")]

    def fail_once(limit: int) -> Any:
        if troubles:
            raise troubles.pop()
        return claim(limit)

    loop._source.claim = fail_once  # type: ignore[method-assign]
    assert loop.run() == 1


def test_one_stuck_attempt_lets_the_others_finish_before_the_process_ends(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    crew, finished = Crew(), threading.Event()

    class Busy:
        def __init__(self, is_busy: Callable[[], bool]) -> None:
            self.is_busy = is_busy

        @property
        def running(self) -> object:
            return "job" if self.is_busy() else None

    crew.runners = [Busy(lambda: True), Busy(lambda: not finished.is_set())]  # type: ignore[list-item]
    ending = threading.Thread(target=crew.end_process, args=(75,))
    ending.start()
    time.sleep(0.3)
    assert codes == []
    finished.set()
    ending.join(5)
    assert codes == [75]


# Over HTTP.


class Wire:
    """The API's function as an HTTP transport, for one token."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.paths: list[str] = []
        self.down = False
        self.loses: str | None = None
        """The end of a path whose next answer gets lost."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(f"{request.method} {request.url.path}")
        if self.down:
            raise httpx.ConnectError("Connection refused")
        answer = self._answer(request)
        if self.loses is not None and request.url.path.endswith(self.loses):
            self.loses = None
            raise httpx.ReadError("Connection reset")
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        caller = {"tenant": "main", "user": "box", "scopes": "work"}
        event = {
            "version": "2.0",
            "rawPath": request.url.path,
            "rawQueryString": request.url.query.decode(),
            "queryStringParameters": dict(request.url.params),
            "headers": {"content-type": "application/json"},
            "requestContext": {
                "http": {"method": request.method, "path": request.url.path},
                "authorizer": {"lambda": caller},
                "stage": "$default",
            },
            "body": request.content.decode() or None,
            "isBase64Encoded": False,
        }
        with runtime.use(self.home.app):
            answer = handler(event, None)
        return httpx.Response(int(answer["statusCode"]), content=answer["body"])


@pytest.fixture
def wire(home: Home) -> Wire:
    return Wire(home)


@pytest.fixture
def client(wire: Wire) -> Iterator[WorkClient]:
    made = WorkClient(
        "http://127.0.0.1:1", "tg_x", retries=Retries(tries=3, base=0), transport=httpx.MockTransport(wire)
    )
    with made:
        yield made


def http_loop(client: WorkClient, budget: Budget, **functions: Callable[[JobContext], Any]) -> ClaimLoop:
    options = WorkerOptions(poll_interval=0.05)
    runner = AttemptRunner(HttpAttempts(client, client), executors(**functions), lease_seconds=10)
    return ClaimLoop(HttpSource(client, options, "w-1", runner.lease_lasts), [runner], budget, lambda: None)


def serve_http(home: Home, client: WorkClient, jobs: int = 1, **functions: Callable[[JobContext], Any]) -> None:
    assert http_loop(client, Budget(jobs), **functions).run() == jobs


def test_a_handler_runs_over_http_as_it_does_elsewhere(home: Home, client: WorkClient, wire: Wire) -> None:
    job = home.submit(data={"n": 1}, tags=("x",), metadata={"k": "v"}, priority=8)
    seen: dict[str, Any] = {}

    def work(context: JobContext) -> Mapping[str, Any]:
        names = ("id", "name", "data", "attempt", "retry_count", "queue", "priority", "tags", "metadata", "cancelled")
        seen.update({name: getattr(context, name) for name in names})
        context.progress(0.5, "half way")
        context.heartbeat()
        return {"pages": 3}

    serve_http(home, client, work=work)
    assert seen == {
        "id": job.id,
        "name": "work",
        "data": {"n": 1},
        "attempt": 1,
        "retry_count": 0,
        "queue": "default",
        "priority": 8,
        "tags": ("x",),
        "metadata": {"k": "v"},
        "cancelled": False,
    }
    done = home.job(job.id)
    assert (done.state, done.result, done.worker_id) == (State.COMPLETED, {"pages": 3}, "w-1")
    assert done.progress is not None
    assert done.progress.message == "half way"
    assert wire.paths == [
        "POST /workers/claim",
        f"POST /jobs/{job.id}/heartbeat",
        f"POST /jobs/{job.id}/complete",
    ]


def raises(error: Exception) -> Callable[[JobContext], None]:
    def work(context: JobContext) -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("work", "state", "error"),
    [
        (raises(ValueError("bad page")), State.RETRY, (ErrorType.AGENT, "ValueError: bad page")),
        (raises(PermanentError("never")), State.FAILED, (ErrorType.AGENT, "never")),
        (lambda job: job.skip("no pages"), State.SKIPPED, (None, None)),
        (lambda job: job.snooze(60), State.RETRY, (None, None)),
        (lambda job: {1, 2}, State.FAILED, (ErrorType.VALIDATION, None)),
        (lambda job: "x" * 7_000_000, State.FAILED, (ErrorType.VALIDATION, None)),
        (lambda job: "x" * 300_000, State.COMPLETED, (None, None)),
    ],
)
def test_every_outcome_travels(
    home: Home, client: WorkClient, work: Any, state: State, error: tuple[ErrorType | None, str | None]
) -> None:
    job = home.submit()
    serve_http(home, client, work=work)
    ended = home.job(job.id)
    assert (ended.state, ended.error_type) == (state, error[0])
    if error[1] is not None:
        assert ended.error_message == error[1]
    if ended.error_type is ErrorType.VALIDATION:
        assert "result" in (ended.error_message or "")


def test_a_name_that_nobody_serves_fails_clearly(home: Home, client: WorkClient) -> None:
    job = home.submit("unknown")
    serve_http(home, client, work=lambda job: 1)
    assert "it serves: work" in (home.job(job.id).error_message or "")


def test_an_attempt_that_takes_too_long_is_ended(home: Home, client: WorkClient) -> None:
    job = home.submit(timeout=0.3, retry_limit=0)
    serve_http(home, client, work=lambda job: time.sleep(20))
    assert home.job(job.id).error_type is ErrorType.TIMEOUT


def test_a_handler_sees_that_it_is_to_stop(home: Home, client: WorkClient) -> None:
    job = home.submit()

    def work(context: JobContext) -> str:
        cancel(home.ports, ADMIN, job.id)
        context.heartbeat()
        return "stopped" if context.cancelled else "not seen"

    serve_http(home, client, work=work)
    assert home.job(job.id).state is State.CANCELLED


def test_large_data_is_fetched(home: Home, client: WorkClient, wire: Wire) -> None:
    job = home.submit(data="x" * 200_000)
    serve_http(home, client, work=lambda job: len(job.data))
    assert home.job(job.id).result == 200_000
    assert f"GET /jobs/{job.id}/data" in wire.paths


def test_data_that_http_cannot_carry_fails_the_job_clearly(home: Home, client: WorkClient) -> None:
    job = home.submit(data="\n" * 2_500_000)
    serve_http(home, client, work=lambda job: len(job.data))
    failed = home.job(job.id)
    assert (failed.state, failed.error_type) == (State.FAILED, ErrorType.VALIDATION)
    assert "AWS credentials" in (failed.error_message or "")


def test_a_lost_answer_to_an_outcome_records_it_once(home: Home, client: WorkClient, wire: Wire) -> None:
    """The outcome is sent again and refused, for it is recorded already."""
    job = home.submit()
    wire.loses = "/complete"
    serve_http(home, client, work=lambda job: "done")
    assert wire.paths.count(f"POST /jobs/{job.id}/complete") == 2
    done = home.job(job.id)
    assert (done.state, done.result, done.failures) == (State.COMPLETED, "done", ())


def test_a_lost_answer_to_a_claim_is_made_up_for_by_the_lease(home: Home, client: WorkClient, wire: Wire) -> None:
    job = home.submit()
    wire.loses = "/workers/claim"
    loop = http_loop(client, Budget(1), work=lambda job: job.attempt)
    with pytest.raises(Exception, match="no answer came"):
        loop._source.claim(1)
    held = home.job(job.id)
    assert (held.state, held.attempt) == (State.ACTIVE, 1)
    assert loop._source.claim(1) == [], "its lease lasts"
    assert wire.paths == ["POST /workers/claim"] * 2, "a claim is never repeated blindly"


def test_a_zombie_is_refused_and_its_worker_goes_on(home: Home, client: WorkClient) -> None:
    job = home.submit()

    def work(context: JobContext) -> str:
        if context.attempt == 1:
            home.ports.jobs.apply([_taken_away(home.job(job.id))])
        return f"attempt {context.attempt}"

    serve_http(home, client, work=work)
    assert home.job(job.id).state is State.ACTIVE
    other = home.submit(priority=9)
    serve_http(home, client, work=lambda context: "fine")
    assert home.job(other.id).result == "fine"


def _taken_away(held: Job) -> Any:
    """Another worker's claim, as if the lease had lapsed."""
    later = (held.lease_until or 0) + 1
    return reclaim_if_lapsed(held, Lease("w-2", later + 60_000), later)


def test_a_revoked_token_or_a_failing_server_never_kills_the_worker(client: WorkClient, wire: Wire) -> None:
    store = HttpAttempts(client, client)
    wire.down = True
    with pytest.raises(Unavailable):
        store.heartbeat(_some_job(), 10, None)
    assert http_loop(client, Budget(1))._claimed(1) == []


def _some_job() -> Job:
    return make_job("j", state=State.ACTIVE, attempt=1)


def test_a_server_that_waits_less_is_asked_without_waiting(client: WorkClient, home: Home) -> None:
    leases: list[float] = []
    source = HttpSource(client, WorkerOptions(poll_interval=0.2), "w-1", leases.append)
    asked: list[float] = []
    claim = client.claim

    def short(*arguments: Any, **named: Any) -> Any:
        asked.append(named["wait_seconds"])
        claimed = claim(*arguments, **{**named, "wait_seconds": 0})
        return type(claimed)(claimed.jobs, 60.0, 0.1)

    client.claim = short  # type: ignore[method-assign]
    source.claim(1)
    source.claim(1)
    assert asked == [0.2, 0.0]
    assert leases == [60.0, 60.0]
    assert source.pause(1, 0.05) == pytest.approx(0.15)


# What a worker says of itself.


def test_a_worker_tells_of_itself_and_says_good_bye(home: Home) -> None:
    job = home.submit()
    told = threading.Event()
    runner = home.runner(work=lambda context: told.wait(10))
    about = describe("w-1", kind="embedded", pool="default", version="1", concurrency=1)
    presence = Presence(
        about,
        home.ports.workers.put,
        lambda: [runner.running],
        every=0.05,
        now=home.ports.now,
        close=home.close,
    )
    working = threading.Thread(target=home.drain_and_close, args=(runner,))
    working.start()
    presence.start()
    end = time.monotonic() + 10
    while not (found := [run for seen in list_workers(home.ports, ADMIN) for run in seen.running]):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert [run.id for run in found] == [job.id]
    told.set()
    working.join(10)
    presence.stop()
    assert list_workers(home.ports, ADMIN) == []


def test_a_lambda_tells_of_itself_once_a_minute_when_a_job_starts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Worker] = []
    now = [1_000.0]
    monkeypatch.setattr("tidegate.execution.presence.time.monotonic", lambda: now[0])
    presence = Presence(describe("l-1", kind="lambda", pool="default", version=""), told.append, list, every=60)
    runner = Runner(
        home.ports, executors(work=lambda context: 1), worker_id="l-1", lease_seconds=10, on_start=presence.starts
    )
    jobs = [home.submit() for _ in range(5)]
    for seconds in (0, 30, 29.9, 0.1, 30):
        now[0] += seconds
        home.serve_one(runner)
    assert [worker.running[0].job_id for worker in told] == [jobs[0].id, jobs[3].id]


def test_trouble_with_telling_stands_in_nobodys_way(home: Home) -> None:
    def fail(_: Worker) -> None:
        raise Unavailable("throttled")

    presence = Presence(describe("w-1", kind="pull", pool="default", version=""), fail, list)
    job = home.submit()
    runner = Runner(
        home.ports, executors(work=lambda context: 1), worker_id="w-1", lease_seconds=10, on_start=presence.starts
    )
    home.serve_one(runner)
    assert home.job(job.id).state is State.COMPLETED


def test_a_worker_over_http_tells_of_itself(home: Home, client: WorkClient) -> None:
    about = describe("box:1", kind="http", pool="default", version="1.2", queues=["b", "a"], concurrency=3)
    tell(client, about)
    (seen,) = list_workers(home.ports, ADMIN)
    worker = seen.worker
    assert (worker.id, worker.kind, worker.tenant, worker.queues) == ("box:1", "http", "main", ("a", "b"))
    assert (worker.concurrency, worker.version) == (3, "1.2")


def test_a_lost_lease_is_an_error_of_its_own(home: Home, client: WorkClient) -> None:
    home.submit(job_id="j")
    (claimed,) = client.claim("w-1").jobs
    with pytest.raises(LeaseLost):
        client.complete("j", claimed.attempt + 1, json.dumps({}))
    assert client.skip("j", claimed.attempt, "nothing").state == "SKIPPED"
