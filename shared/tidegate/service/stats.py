"""How many jobs stand where, what became of them, and what went wrong: from the change feed's figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.fingerprint import fold
from tidegate.domain.job import COARSE, TERMINAL, WAITING, Job, Ms, Sla, State
from tidegate.ports import JobQuery, Ports

from .expectations import NAME
from .record_changes import AT_RISK, MET, MISSED, QUEUE, RETRIES, RUN_MS, SLA, STATES, hour_series
from .timeline import HOUR_MS, run_percentiles

_LAST = "~"
"""Sorts after every character of a name."""
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Stats:
    """Jobs by state, fine and coarse, as the change feed counted them (seconds late at most)."""

    states: Mapping[str, int]
    counts: Mapping[str, int]
    total: int


@dataclass(frozen=True, slots=True)
class SlaFigures:
    """Jobs of a queue that met or missed their deadlines, since it had any; and those at risk now.

    Met: completed within the first deadline. A job may miss both. What ended otherwise within them is neither.
    """

    queue: str
    met: int
    missed_soft: int
    missed_hard: int
    at_risk: int


@dataclass(frozen=True, slots=True)
class Retried:
    """Stored jobs of one name that have used retries: how many jobs, and how many retries they used."""

    name: str
    avg_retries: float
    max_retries: int
    total_jobs: int


@dataclass(frozen=True, slots=True)
class Hour:
    """Jobs that ended by themselves within one hour; how long the last attempts of those that completed took, None if
    there were none."""

    hour: Ms
    completed_jobs: int
    failed_jobs: int
    avg_run_seconds: float | None
    p50_run_seconds: float | None
    p99_run_seconds: float | None


@dataclass(frozen=True, slots=True)
class CommonError:
    """Error messages that differ in numbers and ids only, with the newest job that ended with one."""

    message: str
    count: int
    error_type: str | None
    names: tuple[str, ...]
    last_at: Ms
    job_id: str


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """One queue: jobs that wait, that run, that have ended."""

    queue: str
    depth: int
    running: int
    ended: int
    states: Mapping[str, int]


def stats(ports: Ports, caller: Caller) -> Stats:
    """The counters of the caller's tenant."""
    caller.require(Scope.READ)
    states = _by_state(ports.figures.read(caller.tenant, STATES))
    counts = dict.fromkeys(dict.fromkeys(COARSE.values()), 0)
    for state in State:
        counts[COARSE[state]] += states[state.value]
    return Stats(states, counts, sum(states.values()))


def retry_analysis(ports: Ports, caller: Caller) -> list[Retried]:
    """How often the stored jobs of each name were retried, those with the highest average first."""
    caller.require(Scope.READ)
    series = ports.figures.between(caller.tenant, NAME, NAME + _LAST)
    found = (_retried(name.removeprefix(NAME), _histogram(totals)) for name, totals in series.items())
    return sorted((each for each in found if each is not None), key=lambda each: (-each.avg_retries, each.name))


def throughput(ports: Ports, caller: Caller, hours: int = 24) -> list[Hour]:
    """What became of jobs in each of the last hours, the one under way included, oldest first."""
    caller.require(Scope.READ)
    last = ports.now() // HOUR_MS * HOUR_MS
    starts = [last - back * HOUR_MS for back in reversed(range(hours))]
    series = ports.figures.between(caller.tenant, hour_series(starts[0]), hour_series(last))
    return [_hour(start, series.get(hour_series(start), {})) for start in starts]


def common_errors(ports: Ports, caller: Caller, top: int = 5, sample: int = 500) -> tuple[list[CommonError], int]:
    """The most common error messages among the newest `sample` FAILED jobs, and how many jobs were looked at.

    Nothing is counted ahead for it: messages are without bound, and failed jobs can be listed by when they failed.
    """
    caller.require(Scope.READ)
    found: dict[str, CommonError] = {}
    looked = 0
    for job in _failed(ports, caller, sample):
        looked += 1
        message = fold(job.error_message or "")
        found[message] = _with(found.get(message), message, job)
    return sorted(found.values(), key=lambda each: (-each.count, -each.last_at))[:top], looked


def stuck_jobs(ports: Ports, caller: Caller, older_than: float, limit: int = 200) -> Sequence[Job]:
    """ACTIVE jobs whose attempt started more than `older_than` seconds ago, the longest running first."""
    caller.require(Scope.READ)
    jobs = ports.upkeep.running(caller.tenant, ports.now() - round(older_than * 1000), limit)
    return [job for job in jobs if caller.sees_all_users() or job.owner == caller.user]


def queue_figures(ports: Ports, caller: Caller) -> list[QueueFigures]:
    """Every queue that has had jobs, by name."""
    caller.require(Scope.READ)
    series = ports.figures.between(caller.tenant, QUEUE, QUEUE + _LAST)
    return [_queue(name.removeprefix(QUEUE), _by_state(totals)) for name, totals in series.items()]


def sla_figures(ports: Ports, caller: Caller) -> list[SlaFigures]:
    """How the jobs of every queue that had jobs with deadlines stood, and stand, to them, by name."""
    caller.require(Scope.READ)
    series = ports.figures.between(caller.tenant, SLA, SLA + _LAST)
    return [_sla(name.removeprefix(SLA), totals) for name, totals in series.items()]


def _by_state(totals: Mapping[str, int]) -> dict[str, int]:
    return {state.value: max(0, totals.get(state.value, 0)) for state in State}


def _sla(queue: str, totals: Mapping[str, int]) -> SlaFigures:
    soft, hard = (totals.get(MISSED[sla], 0) for sla in (Sla.SOFT_MISSED, Sla.HARD_MISSED))
    return SlaFigures(queue, totals.get(MET, 0), soft, hard, max(0, totals.get(AT_RISK, 0)))


def _histogram(totals: Mapping[str, int]) -> dict[int, int]:
    found = ((RETRIES.fullmatch(field), jobs) for field, jobs in totals.items())
    return {int(field[1]): jobs for field, jobs in found if field is not None and jobs > 0}


def _retried(name: str, histogram: Mapping[int, int]) -> Retried | None:
    jobs = sum(histogram.values())
    if not jobs:
        return None
    retries = sum(used * count for used, count in histogram.items())
    return Retried(name, retries / jobs, max(histogram), jobs)


def _hour(start: Ms, totals: Mapping[str, int]) -> Hour:
    completed, failed = (totals.get(state, 0) for state in (State.COMPLETED, State.FAILED))
    average = round(totals.get(RUN_MS, 0) / completed / 1000, 3) if completed else None
    return Hour(start, completed, failed, average, *run_percentiles([totals]))


def _queue(name: str, states: Mapping[str, int]) -> QueueFigures:
    def count(among: frozenset[State]) -> int:
        return sum(states[state] for state in among)

    return QueueFigures(name, count(WAITING), states[State.ACTIVE], count(TERMINAL), states)


def _failed(ports: Ports, caller: Caller, most: int) -> Iterator[Job]:
    """The newest failed jobs that the caller may see."""
    owner = None if caller.sees_all_users() else caller.user
    query = JobQuery(tenant=caller.tenant, states=frozenset({State.FAILED}), owner=owner, limit=min(_PAGE, most))
    left = most
    while left > 0:
        page = ports.jobs.page(query)
        yield from page.jobs[:left]
        left -= len(page.jobs)
        if page.next_cursor is None:
            return
        query = replace(query, cursor=page.next_cursor)


def _with(seen: CommonError | None, message: str, job: Job) -> CommonError:
    """The error with one more job; the newest comes first."""
    ended = job.completed_at or 0
    if seen is None:
        kind = None if job.error_type is None else job.error_type.value
        return CommonError(message, 1, kind, (job.name,), ended, job.id)
    names = seen.names if job.name in seen.names else (*seen.names, job.name)
    at, job_id = max((seen.last_at, seen.job_id), (ended, job.id))
    return replace(seen, count=seen.count + 1, names=names, last_at=at, job_id=job_id)
