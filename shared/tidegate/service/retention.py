"""Delete ended jobs, and ended runs with all of their jobs, whose time to be kept has passed.

Readers pass them over from that moment on. DynamoDB's TTL deletes most single jobs, days late and at no cost; the
clock deletes what it has not deleted yet, all of them in the embedded home, and those of runs. Large values and
pointers of deleted jobs go with the change feed, whoever deleted the job.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tidegate.domain import guarded
from tidegate.domain.dag.run import OPEN_RUNS, Run, kept_until
from tidegate.domain.job import TERMINAL, WAITING, Ms
from tidegate.ports import JobQuery, Ports, Watched

from .apart import Apart
from .record_changes import run_series

MOST_AT_ONCE = 1_000
"""Jobs deleted, or in the cloud looked at, in one tick."""
_RUNS_AT_ONCE = 20
_LATE_MS = 60_000
"""A run is deleted so much later than readers pass it over: whoever resumes it at that moment is through by then."""
_LONGER_MS = 86_400_000
"""For so long a run is kept whose results another one still waits for, again and again."""


def retire(ports: Ports, now: Ms) -> int:
    """Delete some of the jobs that have outlived their `keep_until`, or the run that they belong to; answers how many.

    One run that cannot be deleted keeps no other from it.
    """
    jobs = ports.upkeep.outlived(now, MOST_AT_ONCE)
    done = sum(ports.upkeep.erase_unchanged(jobs)) if jobs else 0
    apart = Apart("retention_failed")
    for outlived in ports.dags.outlived(now - _LATE_MS, _RUNS_AT_ONCE):
        if done < MOST_AT_ONCE:
            step = partial(_retire_run, ports, outlived, now, MOST_AT_ONCE - done)
            done += apart.do(f"run {outlived.dag_id}", step, 0)
    apart.conclude()
    return done


def _retire_run(ports: Ports, outlived: Watched, now: Ms, limit: int) -> int:
    """Delete some jobs of a run, and the run itself once it has none and the feed has counted that."""
    run = ports.dags.get(outlived.tenant, outlived.dag_id)
    if run is None or kept_until(run) != outlived.look_at:
        ports.dags.erase_if_unchanged(outlived, None)
        return 0
    if _is_waited_for(ports, run):
        _keep_longer(ports, outlived, run, now)
        return 0
    page = ports.jobs.page(JobQuery(tenant=run.tenant, dag_id=run.id, limit=limit))
    if page.jobs or page.next_cursor is not None:
        left = [guarded.cancel_if_waiting(job, "its run is deleted", now) for job in page.jobs if job.state in WAITING]
        if left:
            ports.jobs.apply(left)
        return sum(ports.upkeep.erase_unchanged([job for job in page.jobs if job.state in TERMINAL]))
    for items in (False, True):
        ports.figures.drop(run.tenant, run_series(run.id, items=items))
    ports.blobs.delete(run.graph_ref)
    ports.dags.erase_if_unchanged(outlived, run)
    return 0


def _is_waited_for(ports: Ports, run: Run) -> bool:
    others = (ports.dags.get(run.tenant, waiter) for waiter in run.waiters)
    return any(other is not None and other.state in OPEN_RUNS for other in others)


def _keep_longer(ports: Ports, outlived: Watched, run: Run, now: Ms) -> None:
    kept = replace(run, keep_until=now + _LONGER_MS)
    if ports.dags.put_if_unchanged(kept, run):
        ports.dags.let_go(outlived, run.resumed, kept_until(kept))
        ports.dags.erase_if_unchanged(outlived, None)
