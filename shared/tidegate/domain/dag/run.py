"""A run: its state, its figures, and the ids of its jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tidegate.domain.job import TERMINAL, Job, Ms, State

from .joins import End
from .spec import FailurePolicy, outside


class RunState(StrEnum):
    """Where a run stands. The last four are terminal."""

    CREATED = "CREATED"
    """Accepted; its jobs are being stored."""
    ACTIVE = "ACTIVE"
    """Its jobs run or wait."""
    COMPLETED = "COMPLETED"
    """Every job is COMPLETED or SKIPPED, none because of a failure."""
    FAILED = "FAILED"
    """A job FAILED or EXPIRED."""
    CANCELLED = "CANCELLED"
    """Someone stopped it."""
    EXPIRED = "EXPIRED"
    """Its hard deadline passed."""


OPEN_RUNS = frozenset({RunState.CREATED, RunState.ACTIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a DAG. Times are `Ms`."""

    id: str
    tenant: str
    owner: str
    name: str
    state: RunState
    failure_policy: FailurePolicy
    graph_ref: str
    """Blob key of the graph."""
    total: int
    created_at: Ms
    updated_at: Ms
    completed_at: Ms | None = None
    soft_sla: Ms | None = None
    hard_sla: Ms | None = None
    stopping: RunState | None = None
    """How the run will end once its jobs have stopped; None while it goes on."""
    reason: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    definition: str | None = None
    """`name@version` of the definition that it was made from."""
    waiters: tuple[str, ...] = ()
    """Runs some of whose nodes wait for some of its own."""
    fingerprint: str = ""
    resumed: int = 0
    """How often it was resumed."""
    warned_at: Ms | None = None
    """When it was noticed, and announced, that the soft deadline had passed."""
    supervisor_token: str | None = None
    """What its supervisor waits with for its end; None where the clock alone watches over it."""
    task_token: str | None = None
    """With what a task of someone's state machine waits for its end; a secret of who submitted it."""
    correlation_id: str | None = None
    """What the request was called that made it."""
    keep_seconds: float | None = None
    """How long the run and its jobs are kept once it has ended; None where `keep_until` says it, or nothing does."""
    keep_until: Ms | None = None
    """Until when they are kept at the least."""
    key: str | None = None
    """Under what its id is kept, where it was asked for with an Idempotency-Key."""


def keeping(jobs: Iterable[Job]) -> tuple[float | None, Ms | None]:
    """`keep_seconds` and `keep_until` of a run with these jobs: the longest of each; None and None keep it for ever."""
    made = list(jobs)
    if any(job.keep_seconds is None and job.keep_until is None for job in made):
        return None, None
    seconds = (job.keep_seconds for job in made if job.keep_seconds is not None)
    return max(seconds, default=None), max((job.keep_until for job in made if job.keep_until is not None), default=None)


def kept_until(run: Run) -> Ms | None:
    """When a run and all of its jobs are deleted: together, once it has ended. None while nobody knows, or never."""
    if run.completed_at is None or (run.keep_seconds is None and run.keep_until is None):
        return None
    return max(run.completed_at + round((run.keep_seconds or 0) * 1000), run.keep_until or 0)


def next_deadline(run: Run) -> Ms | None:
    """When someone must look at the clock for this run; None if no deadline lies ahead that could change anything."""
    if run.state is not RunState.ACTIVE or run.stopping is not None:
        return None
    soft = run.soft_sla if run.warned_at is None else None
    return min((time for time in (soft, run.hard_sla) if time is not None), default=None)


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The figures of seed 001's query: `progress_pct` counts every job that ended, to one decimal."""

    total_jobs: int
    completed: int
    active: int
    failed: int
    ended: int

    @property
    def progress_pct(self) -> float:
        """Ended jobs per hundred; 0 for a run without jobs."""
        return round(100.0 * self.ended / self.total_jobs, 1) if self.total_jobs else 0.0


def progress_of(total: int, states: Mapping[str, int]) -> RunProgress:
    """The progress of a run whose jobs stand in these states."""
    return RunProgress(
        total_jobs=total,
        completed=states.get(State.COMPLETED, 0) + states.get(State.SKIPPED, 0),
        active=states.get(State.ACTIVE, 0),
        failed=states.get(State.FAILED, 0),
        ended=sum(states.get(state, 0) for state in TERMINAL),
    )


def outcome_of(run: Run, states: Mapping[str, int]) -> RunState:
    """How a run ends whose jobs have all ended in these states, so many of them `BROKEN`."""
    if run.stopping is not None:
        return run.stopping
    if states.get(State.FAILED, 0) or states.get(State.EXPIRED, 0):
        return RunState.FAILED
    if states.get(State.CANCELLED, 0):
        return RunState.CANCELLED
    return RunState.FAILED if states.get(BROKEN, 0) else RunState.COMPLETED


BROKEN = "broken"
"""Counts the nodes that were skipped because something before them failed: perhaps a node of another run."""


def end_of(job: Job) -> End | None:
    """What a job's end means for those behind it; None while it goes on."""
    return end_in(job.state, broken=job.broken)


def end_in(state: State, *, broken: bool) -> End | None:
    """What it means that a job is in a state; `broken`: that it was skipped because something before it failed."""
    if state not in TERMINAL:
        return None
    if state is State.COMPLETED:
        return End.DONE
    return End.PASSED if state is State.SKIPPED and not broken else End.BROKEN


def item_node(node: str, index: int) -> str:
    """What the job of one entry of a fanned-out node is called. No node can have such an id."""
    return f"{node}[{index}]"


def local_name(node: str, parent: str) -> str:
    """What a node calls one before it: without the names of the runs that both are in, or that the node ends."""
    around = f"{node}/"
    while around:
        if parent.startswith(around):
            return parent.removeprefix(around)
        around = around[:-1].rpartition("/")[0]
        around = f"{around}/" if around else ""
    return parent


def node_of_item(name: str) -> str | None:
    """The node that an entry's job belongs to; None for the job of a node itself."""
    node, bracket, _ = name.partition("[")
    return node if bracket else None


GATHER = "tidegate.gather"
"""Puts the results of a fanned-out node's entries together."""
CHOOSE = "tidegate.choose"
"""Chooses among the nodes behind a branch or a switch."""
COLLECT = "tidegate.collect"
"""Puts the results of a run within a run together."""
BUILT_IN = frozenset({GATHER, CHOOSE, COLLECT})
"""The executors that every worker has."""


def entries_of(job: Job) -> int | None:
    """Into how many entries a node was fanned out; None for an ordinary node, or before that was known."""
    if job.name != GATHER or not isinstance(job.data, dict):
        return None
    return max(0, found) if (found := job.data.get("entries")) is not None else None


def supervisor_name(run: Run) -> str:
    """What its supervisor is called: one name for each life of each run of each tenant, at most 60 characters."""
    return f"{run.id}-{run.resumed}-{hashlib.sha256(run.tenant.encode()).hexdigest()[:12]}"


def node_job_id(dag_id: str, node: str) -> str:
    """The id of a node's job, known without a look-up: a UUIDv7 with the run's time, the rest a digest.

    A node of another run is named with that run's id before it.
    """
    dag_id, node = outside(node) or (dag_id, node)
    digest = hashlib.sha256(f"{dag_id} {node}".encode()).hexdigest()
    variant = "89ab"[int(digest[3], 16) % 4]
    return f"{dag_id[:13]}-7{digest[:3]}-{variant}{digest[4:7]}-{digest[7:19]}"
