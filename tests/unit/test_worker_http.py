"""Workers over HTTPS: handlers run as they do elsewhere, with a token alone; against the API's own function."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
from tidegate_functions.api.handler import handler

from home import ADMIN, Clock, Home, RealClock, executors
from support.jobs import make_job
from tidegate import runtime
from tidegate.client import Retries
from tidegate.client.work import WorkClient
from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.domain.errors import Conflict, LeaseLost, Unavailable
from tidegate.domain.guard import Lease
from tidegate.domain.guarded import reclaim_if_lapsed
from tidegate.domain.job import ErrorType, Job, Progress, State
from tidegate.execution.attempt_runner import AttemptRunner
from tidegate.execution.context import HandlerError, JobContext, PermanentError
from tidegate.execution.presence import describe
from tidegate.execution.registry import Executor
from tidegate.ports import Timer
from tidegate.service.control import cancel
from tidegate.service.read_log import read_log
from tidegate.service.runs import get_run, submit_dag
from tidegate.service.tick import check_timers
from tidegate.service.workers import list_workers
from tidegate.worker.budget import Budget
from tidegate.worker.claims import ClaimLoop
from tidegate.worker.http import HttpAttempts, HttpSource, tell
from tidegate.worker.options import WorkerOptions


@pytest.fixture
def clock() -> Clock:
    return RealClock()


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


def http_loop(
    client: WorkClient, budget: Budget, *made: Executor, **functions: Callable[[JobContext], Any]
) -> ClaimLoop:
    options, named = WorkerOptions(poll_interval=0.05), {each.name: each for each in made}
    runner = AttemptRunner(HttpAttempts(client, client), {**executors(**functions), **named}, lease_seconds=10)
    return ClaimLoop(HttpSource(client, options, "w-1", runner.lease_lasts), [runner], budget, lambda: None)


def serve_http(client: WorkClient, *made: Executor, jobs: int = 1, **functions: Callable[[JobContext], Any]) -> None:
    assert http_loop(client, Budget(jobs), *made, **functions).run() == jobs


def test_a_handler_runs_over_http_as_it_does_elsewhere(home: Home, client: WorkClient, wire: Wire) -> None:
    job = home.submit(data={"n": 1}, tags=("x",), metadata={"k": "v"}, priority=8)
    seen: dict[str, Any] = {}

    def work(context: JobContext) -> Mapping[str, Any]:
        names = ("id", "name", "data", "attempt", "retry_count", "queue", "priority", "tags", "metadata", "cancelled")
        seen.update({name: getattr(context, name) for name in names})
        context.progress(0.5, "half way")
        context.heartbeat()
        return {"pages": 3}

    serve_http(client, work=work)
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
    serve_http(client, work=work)
    ended = home.job(job.id)
    assert (ended.state, ended.error_type) == (state, error[0])
    if error[1] is not None:
        assert ended.error_message == error[1]
    if ended.error_type is ErrorType.VALIDATION:
        assert "result" in (ended.error_message or "")


def test_a_name_that_nobody_serves_fails_clearly(home: Home, client: WorkClient) -> None:
    job = home.submit("unknown")
    serve_http(client, work=lambda job: 1)
    assert "it serves: work" in (home.job(job.id).error_message or "")


def test_an_attempt_that_takes_too_long_is_ended(home: Home, client: WorkClient) -> None:
    job = home.submit(timeout=0.3, retry_limit=0)
    serve_http(client, work=lambda job: time.sleep(20))
    assert home.job(job.id).error_type is ErrorType.TIMEOUT


def test_a_handler_sees_that_it_is_to_stop(home: Home, client: WorkClient) -> None:
    job = home.submit()

    def work(context: JobContext) -> str:
        cancel(home.ports, ADMIN, job.id)
        context.heartbeat()
        return "stopped" if context.cancelled else "not seen"

    serve_http(client, work=work)
    assert home.job(job.id).state is State.CANCELLED


def test_large_data_is_fetched(home: Home, client: WorkClient, wire: Wire) -> None:
    job = home.submit(data="x" * 200_000)
    serve_http(client, work=lambda job: len(job.data))
    assert home.job(job.id).result == 200_000
    assert f"GET /jobs/{job.id}/data" in wire.paths


def test_data_that_http_cannot_carry_fails_the_job_clearly(home: Home, client: WorkClient) -> None:
    job = home.submit(data="\n" * 2_500_000)
    serve_http(client, work=lambda job: len(job.data))
    failed = home.job(job.id)
    assert (failed.state, failed.error_type) == (State.FAILED, ErrorType.VALIDATION)
    assert "AWS credentials" in (failed.error_message or "")


def test_a_lost_answer_to_an_outcome_records_it_once(home: Home, client: WorkClient, wire: Wire) -> None:
    """The outcome is sent again and refused, for it is recorded already."""
    job = home.submit()
    wire.loses = "/complete"
    serve_http(client, work=lambda job: "done")
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

    serve_http(client, work=work)
    assert home.job(job.id).state is State.ACTIVE
    other = home.submit(priority=9)
    serve_http(client, work=lambda context: "fine")
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


def test_a_worker_over_http_tells_of_itself(home: Home, client: WorkClient) -> None:
    about = describe("box:1", kind="http", pool="default", version="1.2", names=["t"], queues=["b", "a"], concurrency=3)
    tell(client, about)
    (seen,) = list_workers(home.ports, ADMIN)
    worker = seen.worker
    assert (worker.id, worker.kind, worker.tenant, worker.queues) == ("box:1", "http", "main", ("a", "b"))
    assert (worker.concurrency, worker.version, worker.names) == (3, "1.2", ("t",))


def test_a_lost_lease_is_an_error_of_its_own(home: Home, client: WorkClient) -> None:
    home.submit(job_id="j")
    (claimed,) = client.claim("w-1").jobs
    with pytest.raises(LeaseLost):
        client.complete("j", claimed.attempt + 1, json.dumps({}))
    assert client.skip("j", claimed.attempt, "nothing").state == "SKIPPED"


# What handlers tell, and what they are told.


def log_of(home: Home, job: Job) -> list[str]:
    found = read_log(home.ports, ADMIN, job.id, after=None, limit=1_000)
    return [f"{told.attempt} {told.line.level} {told.line.message}" for told in found.lines]


def test_its_log_is_kept_over_attempts_at_the_times_told(home: Home, client: WorkClient) -> None:
    job = home.submit(retry_delay=0)

    def work(context: JobContext) -> str:
        context.log.info("page %d", context.attempt)
        time.sleep(0.05)
        context.log.warning("torn")
        if context.attempt == 1:
            raise ValueError("again")
        return "done"

    serve_http(client, jobs=2, work=work)
    assert log_of(home, job) == ["1 INFO page 1", "1 WARNING torn", "2 INFO page 2", "2 WARNING torn"]
    times = [told.line.at for told in read_log(home.ports, ADMIN, job.id, after=None, limit=9).lines]
    assert times == sorted(times)
    assert times[1] - times[0] >= 45


def test_a_lost_answer_to_a_log_keeps_its_lines_once(home: Home, client: WorkClient, wire: Wire) -> None:
    job = home.submit()

    def work(context: JobContext) -> None:
        wire.loses = "/logs"
        context.log.info("once")

    serve_http(client, work=work)
    assert wire.paths.count(f"POST /jobs/{job.id}/logs") == 2
    assert log_of(home, job) == ["1 INFO once"]


def test_a_silent_handler_sends_no_log(home: Home, client: WorkClient, wire: Wire) -> None:
    home.submit()
    serve_http(client, work=lambda job: "quiet")
    assert not any(path.endswith("/logs") for path in wire.paths)


@pytest.mark.parametrize("outcome", ["stops", "raises", "snoozes"])
def test_a_cancelled_job_is_cleaned_up(home: Home, client: WorkClient, outcome: str) -> None:
    """Also one whose handler did not look: that is found out when the attempt asks for another one."""
    seen: list[str] = []
    job = home.submit(data={"file": "a"})

    def work(context: JobContext) -> Any:
        cancel(home.ports, ADMIN, context.id)
        context.progress(0.5, "half way")
        if outcome == "stops":
            context.heartbeat()
            return context.cancelled
        if outcome == "snoozes":
            return context.snooze(60)
        raise HandlerError("bad page", error_type="database")

    def clean(context: JobContext) -> None:
        seen.append(context.data["file"])
        context.log.info("removed %s", context.data["file"])

    serve_http(client, Executor("work", work, on_cancel=clean))
    done = home.job(job.id)
    assert (done.state, seen, log_of(home, job)) == (State.CANCELLED, ["a"], ["1 INFO removed a"])
    assert done.progress == Progress(0.5, "half way")
    assert done.error_type == ("database" if outcome == "raises" else None)


def test_a_clean_up_that_fails_is_on_record(home: Home, client: WorkClient) -> None:
    job = home.submit()

    def work(context: JobContext) -> bool:
        cancel(home.ports, ADMIN, context.id)
        context.heartbeat()
        return context.cancelled

    serve_http(client, Executor("work", work, on_cancel=raises(OSError("disk is gone"))))
    done = home.job(job.id)
    assert (done.state, done.error_message) == (State.CANCELLED, "clean-up failed: OSError: disk is gone")


def test_the_next_worker_cleans_up_after_one_that_vanished(home: Home, client: WorkClient) -> None:
    """No ticket tells it so: the clock puts the job back in line when nobody with a ticket took care of it."""
    seen: list[int] = []
    job = home.submit(retry_limit=0)
    assert [each.id for each in client.claim("gone").jobs] == [job.id]
    cancel(home.ports, ADMIN, job.id)
    lapses = home.job(job.id).lease_until or 0
    home.ports.timers.set([Timer(lapses, job.tenant, job.id, 1)])
    assert [check_timers(home.ports, lapses + later).recovered for later in (1, 59_999)] == [1, 0]
    assert home.job(job.id).state is State.ACTIVE, "who bears its ticket comes first"
    check_timers(home.ports, lapses + 60_000)
    assert home.job(job.id).state is State.RETRY
    serve_http(client, Executor("work", raises(AssertionError()), on_cancel=lambda job: seen.append(job.attempt)))
    done = home.job(job.id)
    assert (done.state, done.attempt, seen) == (State.CANCELLED, 2, [2])


def test_upstream_results_and_fanned_out_entries_travel(home: Home, client: WorkClient) -> None:
    """split → a page each → gathered by the worker itself → merge; the results are more than one answer carries."""
    seen: list[Any] = []

    def node(node_id: str, *parents: str, **fields: Any) -> NodeSpec:
        return NodeSpec(id=node_id, job={"name": node_id}, depends_on=parents, **fields)

    def merge(job: JobContext) -> None:
        seen.append((job.upstream["page"].result, job.upstream["page"].state, len(job.upstream["more"].result)))

    spec = DagSpec(
        name="d",
        nodes=(
            node("split"),
            node("page", "split", for_each=("split", "result", "pages")),
            node("more", "split"),
            node("merge", "page", "more"),
        ),
    )
    run = submit_dag(home.ports, ADMIN, spec, {})[0].run
    big = "x" * 3_000_000
    functions: dict[str, Any] = {
        "split": lambda job: {"pages": [1, 2, 3]},
        "page": lambda job: str(job.data["item"]) + "y" * 1_500_000,
        "more": lambda job: big,
        "merge": merge,
    }
    home.changes()
    for jobs in (1, 4, 1, 1):
        serve_http(client, jobs=jobs, **functions)
        home.pump()
    assert get_run(home.ports, ADMIN, run.id).run.state is RunState.COMPLETED
    ((pages, state, more),) = seen
    assert ([page[0] for page in pages], state, more) == (["1", "2", "3"], State.COMPLETED, len(big))


def test_a_job_that_gathers_nothing_has_no_entries(home: Home, client: WorkClient) -> None:
    home.submit(job_id="j")
    client.claim("w-1")
    with pytest.raises(Conflict, match="gathers nothing"):
        client.job_entries("j", 1)
    assert client.job_upstream("j", 1) == {}
