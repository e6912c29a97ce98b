"""What is counted: whole flows through the deployed functions, each step for itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tidegate.domain.spread import SETTLED_MS
from tidegate.runtime import CLOUD_HEAD_MS
from tidegate.service.fares import prices

from .runs import WIDE, diamond, live, wide
from .stage import BATCH, Counted, Stage
from .watch import Change, Tally

ONE: Mapping[str, object] = {"name": "noop", "data": {"document": "a.pdf"}}
HUNDRED = 100
FEED_JOBS, BUSY_FEED_JOBS = 33, 165
"""Of a batch of the change feed: some, and about as many as fit into the largest that it is given (500 changes)."""
FEED, BUSY_FEED = f"change feed, batch of {3 * FEED_JOBS}", f"change feed, batch of {3 * BUSY_FEED_JOBS}"
_AFTER_ALL_SECONDS = 10
"""Longer than policies and heads are remembered."""
_RETRY_AFTER_SECONDS = 120
_REQUEST_MS = prices().assumed["request_ms"]
SHORT_RUN, LONG_RUN = "run, worker batch of ten", "run jobs that take longer"


@dataclass(frozen=True, slots=True)
class Flow:
    """A counted step. `units` is how many jobs (or calls, where `per` says so) it was for."""

    name: str
    per: str
    units: int
    tally: Tally
    log_bytes: int

    @property
    def calls(self) -> float:
        """Requests to AWS, for one."""
        return self.tally.calls / self.units

    @property
    def sqs(self) -> float:
        """Requests that SQS bills, for one."""
        return self.tally.sqs_requests / self.units

    @property
    def writes(self) -> float:
        """Write units, for one."""
        return self.tally.write_units / self.units

    @property
    def reads(self) -> float:
        """Read units, for one."""
        return self.tally.read_units / self.units

    def counts(self) -> dict[str, float]:
        """What the committed table holds."""
        return {name: round(getattr(self, name), 4) for name in ("calls", "sqs", "writes", "reads")}


def count_all(stage: Stage) -> dict[str, Flow]:
    """Every flow by its name. Those that leave many jobs behind come last, for others count how many there are."""
    submitted = _single_submissions(stage)
    _drain(stage)
    found = _retries(stage)
    found |= _names(stage)
    found |= _reading(stage)
    found |= _background(stage)
    found |= _runs(stage)
    found |= _limited(stage)
    found |= _spread(stage)
    return submitted | _running(stage) | found | _batched_submission(stage)


def _flow(stage: Stage, name: str, per: str, units: int, step: Callable[[], object]) -> dict[str, Flow]:
    with stage.counting() as counted:
        step()
    return {name: _made(name, per, units, counted)}


def _made(name: str, per: str, units: int, counted: Counted) -> Flow:
    return Flow(name, per, units, counted.tally, counted.log_bytes)


def _single_submissions(stage: Stage) -> dict[str, Flow]:
    found = _flow(stage, "submit, first of a process", "job", 1, lambda: stage.post("/jobs", ONE))
    return found | _flow(stage, "submit one", "job", 1, lambda: stage.post("/jobs", ONE))


def _batched_submission(stage: Stage) -> dict[str, Flow]:
    """The last of all, since its jobs would stand in the others' way."""
    stage.post("/jobs", ONE)
    batch = {"jobs": [ONE] * HUNDRED}
    return _flow(stage, "submit a hundred", "job", HUNDRED, lambda: stage.post("/jobs/batch", batch))


def _running(stage: Stage) -> dict[str, Flow]:
    """The worker is warm after its first batch; there are more jobs than it takes, as when it is busy.

    Short jobs share the heads of their lane, as many as a worker starts while one is fresh; longer ones do not.
    """
    found: dict[str, Flow] = {}
    for name, batches, request_ms in ((SHORT_RUN, 3, _REQUEST_MS), (LONG_RUN, 1, CLOUD_HEAD_MS)):
        stage.post("/jobs/batch", {"jobs": [ONE] * (batches + 2) * BATCH})
        stage.work()
        stage.cloud.clock.advance(_AFTER_ALL_SECONDS)
        stage.warm_policies()
        with stage.paced(request_ms):
            found |= _flow(stage, name, "job", batches * BATCH, lambda: _work(stage, batches))  # noqa: B023
        _drain(stage)
    return found


def _drain(stage: Stage) -> None:
    while stage.work():
        pass


def _work(stage: Stage, batches: int) -> None:
    for _ in range(batches):
        assert stage.work() == BATCH


def _retries(stage: Stage) -> dict[str, Flow]:
    """Ten jobs that fail once: what the failed attempt and its successor cost, and which of it is the retry's."""
    for _ in range(BATCH):
        stage.post("/jobs", {**ONE, "name": "flaky", "retry_delay": 1})
    with stage.paced(_REQUEST_MS):
        found = _flow(stage, "run and fail", "job", BATCH, stage.work)
    stage.cloud.clock.advance(_RETRY_AFTER_SECONDS)
    stage.warm_policies()
    with stage.paced(_REQUEST_MS):
        return found | _flow(stage, "run again after a retry", "job", BATCH, stage.work)


def _names(stage: Stage) -> dict[str, Flow]:
    named = {**ONE, "job_id": "order-1"}
    found = _flow(stage, "submit with an id of one's own", "job", 1, lambda: stage.post("/jobs", named))
    found |= _flow(stage, "submit it again", "job", 1, lambda: stage.post("/jobs", named))
    _drain(stage)
    return found


def _limited(stage: Stage) -> dict[str, Flow]:
    """A queue with every limit: what they cost where they are used."""
    stage.limit("narrow", slots=20, key_slots=20, rate_limit=1000, max_queue_size=1000)
    limited = {**ONE, "queue": "narrow", "concurrency_key": "a"}
    stage.post("/jobs", ONE)
    stage.post("/jobs", limited)
    found = _flow(stage, "submit to a queue with a size", "job", 1, lambda: stage.post("/jobs", limited))
    found |= _flow(
        stage, "submit with a unique key", "job", 1, lambda: stage.post("/jobs", {**ONE, "unique_key": "invoice-1"})
    )
    stage.post("/jobs/batch", {"jobs": [limited] * 2 * BATCH})
    stage.work()
    found |= _flow(stage, "run within slots, key and rate", "job", BATCH, stage.work)
    _drain(stage)
    return found


def _spread(stage: Stage) -> dict[str, Flow]:
    """A queue whose ready jobs stand on ten keys of the index: what asking them all costs."""
    stage.limit("broad", shards=10)
    stage.cloud.clock.advance(SETTLED_MS / 1000)
    stage.warm_policies()
    stage.post("/jobs/batch", {"jobs": [{**ONE, "queue": "broad"}] * 2 * BATCH})
    stage.work()
    found = _flow(stage, "run, from a queue of ten keys", "job", BATCH, stage.work)
    _drain(stage)
    return found


def _reading(stage: Stage) -> dict[str, Flow]:
    job_id = stage.post("/jobs", ONE)["job_id"]
    found = _flow(stage, "show a job", "call", 1, lambda: stage.get(f"/jobs/{job_id}"))
    found |= _flow(stage, "list the newest 50", "call", 1, lambda: stage.get("/jobs"))
    found |= _flow(stage, "list 50 failed ones", "call", 1, lambda: stage.get("/jobs", "state=FAILED"))
    _drain(stage)
    return found


def _runs(stage: Stage) -> dict[str, Flow]:
    """What a run costs beyond its jobs, and what lets them go."""
    live(stage, stage.post("/dags", diamond())["dag_id"])
    found: dict[str, Flow] = {}
    for shape, body in (("4 jobs", diamond()), (f"{WIDE + 2} jobs", wide())):
        made: list[str] = []
        jobs = len(body["nodes"])
        found |= _flow(stage, f"submit a run of {shape}", "job", jobs, lambda: _submit(stage, body, made))  # noqa: B023
        found |= _flow(stage, f"supervise a run of {shape}", "run", 1, lambda: _supervise(stage, made[0]))  # noqa: B023
        name = f"change feed of a run of {shape}"
        found[name] = Flow(name, "job", jobs, live(stage, made[0]), 0)
        name = f"close a run of {shape}"
        found |= _flow(stage, name, "run", 1, lambda: stage.supervise("close", made[0]))  # noqa: B023
    return found


def _submit(stage: Stage, body: Mapping[str, object], made: list[str]) -> None:
    made.append(stage.post("/dags", body)["dag_id"])


def _supervise(stage: Stage, dag_id: str) -> None:
    stage.supervise("release", dag_id)
    stage.supervise("wait", dag_id)


def _feed(stage: Stage) -> dict[str, Flow]:
    """The changes of jobs from their submission to their end in one batch: of some, and of many like them."""
    with stage.counting() as counted:
        for _ in range(FEED_JOBS):
            stage.post("/jobs", ONE)
        _drain(stage)
    changes = [change for change in counted.tally.changes if change[0] == "tidegate-jobs"]
    assert len(changes) == 3 * FEED_JOBS, f"{len(changes)} changes of {FEED_JOBS} jobs"
    many = [_of_another(change, number) for number in range(BUSY_FEED_JOBS // FEED_JOBS) for change in changes]
    found = _flow(stage, FEED, "job", FEED_JOBS, lambda: stage.record(changes))
    return found | _flow(stage, BUSY_FEED, "job", BUSY_FEED_JOBS, lambda: stage.record(many))


def _of_another(change: Change, number: int) -> Change:
    """The same change of another job, whose id differs in four digits."""
    table, old, new = change
    job_id = (new or old or {})["id"]["S"]
    images = [
        json.loads(json.dumps(image).replace(job_id, f"{job_id[:24]}{number:04d}{job_id[28:]}")) for image in (old, new)
    ]
    return table, images[0], images[1]


def _background(stage: Stage) -> dict[str, Flow]:
    found = _feed(stage)
    found |= _flow(stage, "clock tick, one quiet lane", "tick", 1, stage.tick)
    stage.forget_lanes()
    stage.tick()  # writes the last zeros of the gauges
    return found | _flow(stage, "clock tick, idle", "tick", 1, stage.tick)
