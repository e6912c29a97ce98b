"""Whether the promise held: what the home says of every job, against the plan and what handlers wrote down."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tidegate import Client
from tidegate.client import Job

from .plan import RUN_ITEMS, STEADY, Plan
from .processes import Home

_LOGS_READ = 200
_MAY_SAY: tuple[list[str], ...] = (["begun", "done"], ["begun"], ["done"], [])


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken` names what broke the promise; the rest are figures."""

    broken: tuple[str, ...]
    states: Mapping[str, int]
    attempts: int
    lost_attempts: int
    """Those whose worker vanished."""
    cleaned: int
    logs_read: int
    logs_whole: int


class _Record:
    """What handlers wrote down: how often each attempt began, ended, was cleaned up after."""

    def __init__(self, text: str) -> None:
        self.lines: dict[str, Counter[tuple[str, int]]] = {"begin": Counter(), "end": Counter(), "clean": Counter()}
        for line in text.splitlines():
            what, job_id, attempt = line.split()
            self.lines[what][job_id, int(attempt)] += 1


def verdict(home: Home, plan: Plan) -> Verdict:
    """Look at everything; the home must have come to rest."""
    with home.client() as client:
        jobs = {job.id: job for job in client.list()}
        logs = _logs(jobs, client)
        record = _Record(home.record.read_text())
        broken = [
            *_jobs_as_planned(plan, jobs),
            *_once(jobs, record),
            *_runs(plan, client),
            *(f"the log of {job_id} says {said}" for job_id, said in logs.items() if said not in _MAY_SAY),
            *_cleaned(jobs, record, client),
            *_counted(jobs, client),
            *_healthy(home),
        ]
    return Verdict(
        broken=tuple(broken),
        states=Counter(job.state for job in jobs.values()),
        attempts=sum(record.lines["begin"].values()),
        lost_attempts=sum(job.attempt - 1 for job in jobs.values() if job.name in STEADY and job.attempt),
        logs_read=len(logs),
        logs_whole=sum(1 for said in logs.values() if said == _MAY_SAY[0]),
        cleaned=sum(record.lines["clean"].values()),
    )


def _jobs_as_planned(plan: Plan, jobs: Mapping[str, Job]) -> Iterator[str]:
    if len(jobs) != plan.total:
        yield f"there are {len(jobs)} jobs, not {plan.total}"
    for kind, submitted in plan.submissions():
        job = jobs.get(submitted["job_id"])
        if job is None:
            yield f"{submitted['job_id']} is lost"
        elif job.state != kind.end:
            yield f"{job.id} ({kind.name}) is {job.state}, not {kind.end}: {job.error_message}"


def _once(jobs: Mapping[str, Job], record: _Record) -> Iterator[str]:
    """No attempt ran twice, none ran that was not claimed, and each result is that of the attempt that is recorded."""
    for (job_id, attempt), times in record.lines["begin"].items():
        if times > 1:
            yield f"attempt {attempt} of {job_id} ran {times} times"
        if job_id not in jobs or attempt > jobs[job_id].attempt:
            yield f"attempt {attempt} of {job_id} ran and nobody knows of it"
    for job in jobs.values():
        ran_here = job.state == "COMPLETED" and job.name != "tidegate.gather"
        if ran_here and isinstance(job.result, dict) and job.result["attempt"] != job.attempt:
            yield f"{job.id} has the result of attempt {job.result['attempt']}, and made {job.attempt}"
        if ran_here and not record.lines["end"][job.id, job.attempt]:
            yield f"{job.id} is completed and attempt {job.attempt} did not end"


def _runs(plan: Plan, client: Client) -> Iterator[str]:
    total = sum(2 * item for item in range(RUN_ITEMS))
    for body in plan.dags:
        run = client.dag(body["dag_id"])
        if run.state != "COMPLETED":
            yield f"{run.id} is {run.state}: {run.reason}"
            continue
        (last,) = (node["job_id"] for node in run.nodes if node["id"] == "total")
        value = client.get(last).result["value"]
        if value != total:
            yield f"{run.id} came to {value}, not {total}"


def _logs(jobs: Mapping[str, Job], client: Client) -> Mapping[str, list[str]]:
    """What the completed attempts of some jobs said. Lines are lost when the server is away as an attempt ends."""
    some = [job for job in jobs.values() if job.name in ("work", "slow")][:_LOGS_READ]
    return {job.id: [line.message for line in client.logs(job.id) if line.attempt == job.attempt] for job in some}


def _cleaned(jobs: Mapping[str, Job], record: _Record, client: Client) -> Iterator[str]:
    """Whatever was cancelled while it ran was cleaned up after, by the attempt that ended it."""
    for job in jobs.values():
        if job.name != "endless" or job.state != "CANCELLED" or job.attempt == 0:
            continue
        last = client.history(job.id).attempts[-1]
        if last.outcome == "cancelled" and not record.lines["clean"][job.id, last.attempt]:
            yield f"{job.id} was cancelled in attempt {last.attempt} and not cleaned up after"


def _counted(jobs: Mapping[str, Job], client: Client) -> Iterator[str]:
    counted = {state: count for state, count in client.stats().states.items() if count}
    found = dict(Counter(job.state for job in jobs.values()))
    if counted != found:
        yield f"the counters say {counted}, and there are {found}"
    completed = client.pipeline_metrics()["metrics"]["completed_jobs"]
    if completed != found.get("COMPLETED", 0):
        yield f"{completed} completions were counted"


def _healthy(home: Home) -> Iterator[str]:
    told = home.command("doctor", "--data", str(home.data), "--json")
    if told.returncode != 0:
        yield f"doctor ended with {told.returncode}: {told.stdout}{told.stderr}"
    elif json.loads(told.stdout)["findings"]:
        yield f"doctor found {told.stdout}"
