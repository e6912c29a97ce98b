"""Watching over runs: that their roots start, their deadlines are kept, and their ends do not go unnoticed.

In the cloud each run has a supervisor, an execution of the state machine in `infra/dag.asl.json`, which calls
`take_up`, `await_end`, `keep_time` and `close_run` through `functions/dag`. It waits most of its life, and its steps
do not grow with the number of jobs. The clock does the same for every run, sooner or later: it is all there is in
the embedded home, and in the cloud it is there for what a supervisor missed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple
from zlib import crc32

from tidegate.domain.dag.run import OPEN_RUNS, Run, RunState, next_deadline
from tidegate.domain.errors import NotFound, Unavailable
from tidegate.domain.events import RUN_LATE
from tidegate.domain.ids import time_in
from tidegate.domain.job import Ms
from tidegate.ports import Ports, Watched

from .apart import Apart
from .release import Engine
from .run_ends import announce_run, close, outcome_of_run, settle

LONGEST_WAIT_SECONDS = 30 * 86_400
"""A supervisor looks up so often, even when no deadline lies ahead: a call that told it of the end may be lost."""
_TRIES = 5
_PAGE = 500
_MINUTE_MS = 60_000
_TURNS = 10
_FORGOTTEN_MS = 3_600_000


_log = logging.getLogger("tidegate.dag")


class Watch(NamedTuple):
    """What a supervisor watches: a run, and which of its lives, for a run can be resumed."""

    tenant: str
    dag_id: str
    resumed: int


def start_supervisor(ports: Ports, run: Run) -> bool:
    """Give an open run a supervisor; False where it has none, or not yet: then the clock sees to it."""
    try:
        return ports.supervisors.start(run)
    except Unavailable as error:
        _log.warning("run %s has no supervisor yet: %s", run.id, error.message, extra={"action": "unsupervised"})
        return False


def take_up(ports: Ports, watch: Watch) -> int:
    """Release the roots of a run; answers how many seconds to wait for its end. Raises NotFound."""
    run = _found(ports, watch)
    if _is_watched(run, watch):
        engine = Engine(ports)
        engine.evaluate(run, engine.graph(run).roots())
    return seconds_to_wait(run, ports.now())


def await_end(ports: Ports, watch: Watch, token: str) -> None:
    """Remember whom to tell of the run's end; tell at once if it has ended, or was resumed under another supervisor.

    Raises NotFound, Unavailable when others keep changing the run.
    """
    for _ in range(_TRIES):
        run = _found(ports, watch)
        if not _is_watched(run, watch):
            ports.supervisors.tell(token, outcome_of_run(run))
            return
        if ports.dags.put_if_unchanged(replace(run, supervisor_token=token), run):
            return
    raise Unavailable(f"run '{watch.dag_id}' keeps changing")


def keep_time(ports: Ports, watch: Watch) -> int:
    """Do what the deadlines ask for, and what lost changes would have caused; answers how long to wait again."""
    run = _found(ports, watch)
    if _is_watched(run, watch):
        run = _keep_deadlines(ports, run)
        Engine(ports).check(run)
    return seconds_to_wait(run, ports.now())


def close_run(ports: Ports, watch: Watch) -> Run:
    """The supervisor's last step: what is due once the run has ended. A run that goes on was resumed: it is let be."""
    run = _found(ports, watch)
    if run.resumed == watch.resumed and run.state not in OPEN_RUNS:
        close(ports, run)
    return run


def stop_with_supervisor(ports: Ports, watch: Watch) -> bool:
    """Someone stopped the supervisor by hand: they want the run to stop. Answers whether it was going on."""
    run = _found(ports, watch)
    if not _is_watched(run, watch):
        return False
    Engine(ports).stop(run, RunState.CANCELLED, "its supervisor was stopped in Step Functions")
    return True


def check_deadlines(ports: Ports, now: Ms, limit: int = 200) -> None:
    """What deadlines ask for that have passed: cheap, for every tick."""
    _look_after_each(ports, ports.dags.due(now, limit), now)


def check_runs(ports: Ports, limit: int = 200) -> int:
    """Look at runs as they are, whatever the change feed told; answers how many were looked at.

    Meant for once a minute. Each run has its turn every tenth time, for a look costs a read of all its jobs;
    when it was made a minute ago, so that a request that died half-way is found; and when a deadline has passed.
    """
    now = ports.now()
    turn = now // _MINUTE_MS
    waiting = [each for each in _all_watched(ports) if _is_due(each, turn, now)]
    late = [each for each in waiting if _deadline_passed(each, now)]
    others = [each for each in waiting if not _deadline_passed(each, now)]
    # It begins elsewhere each time, so that no run is always among those for which there was no time.
    start = turn // _TURNS * limit % max(1, len(others))
    chosen = [*late, *others[start:], *others[:start]][:limit]
    _look_after_each(ports, chosen, now)
    return len(chosen)


def seconds_to_wait(run: Run, now: Ms) -> int:
    """Whole seconds until the next deadline, from one to `LONGEST_WAIT_SECONDS`."""
    deadline = next_deadline(run)
    seconds = LONGEST_WAIT_SECONDS if deadline is None else -(-(deadline - now) // 1000)
    return max(1, min(seconds, LONGEST_WAIT_SECONDS))


def _all_watched(ports: Ports) -> Iterator[Watched]:
    last: Watched | None = None
    while found := ports.dags.watched(last, _PAGE):
        yield from found
        last = found[-1]
        if len(found) < _PAGE:
            return


def _is_due(watched: Watched, turn: int, now: Ms) -> bool:
    its_turn = (turn + crc32(watched.dag_id.encode())) % _TURNS == 0
    young = _MINUTE_MS <= now - time_in(watched.dag_id) < 2 * _MINUTE_MS
    return its_turn or young or _deadline_passed(watched, now)


def _deadline_passed(watched: Watched, now: Ms) -> bool:
    return watched.look_at is not None and watched.look_at <= now


def _look_after_each(ports: Ports, runs: Sequence[Watched], now: Ms) -> None:
    """One run that cannot be looked after keeps no other from it."""
    apart = Apart("run_failed")
    for watched in runs:
        apart.do(f"run {watched.dag_id}", partial(_look_after, ports, watched, now), None)
    apart.conclude()


def _look_after(ports: Ports, watched: Watched, now: Ms) -> None:
    run = ports.dags.get(watched.tenant, watched.dag_id)
    if run is None:
        if now - time_in(watched.dag_id) >= _FORGOTTEN_MS:
            ports.dags.let_go(watched, 0)
        return
    if run.state in OPEN_RUNS:
        run = _keep_deadlines(ports, run)
    if now - run.updated_at < _MINUTE_MS:
        return
    if run.state not in OPEN_RUNS:
        settle(ports, run)
        return
    if run.state is RunState.ACTIVE and run.supervisor_token is None:
        start_supervisor(ports, run)
    Engine(ports).check(run)


def _keep_deadlines(ports: Ports, run: Run) -> Run:
    now = ports.now()
    if run.soft_sla is not None and run.soft_sla <= now and next_deadline(run) == run.soft_sla:
        run = _warn(ports, run, now)
    if run.hard_sla is not None and run.hard_sla <= now and next_deadline(run) is not None:
        return Engine(ports).stop(run, RunState.EXPIRED, "its hard deadline passed")
    return run


def _warn(ports: Ports, run: Run, now: Ms) -> Run:
    """Announce that the soft deadline passed, then note that it was: a crash in between announces it twice."""
    announce_run(ports, run, RUN_LATE)
    for _ in range(_TRIES):
        warned = replace(run, warned_at=now, updated_at=now)
        if run.warned_at is not None or run.state not in OPEN_RUNS:
            return run
        if ports.dags.put_if_unchanged(warned, run):
            return warned
        run = ports.dags.get(run.tenant, run.id) or run
    return run


def _found(ports: Ports, watch: Watch) -> Run:
    run = ports.dags.get(watch.tenant, watch.dag_id)
    if run is None:
        raise NotFound(f"there is no run '{watch.dag_id}'", dag_id=watch.dag_id)
    return run


def _is_watched(run: Run, watch: Watch) -> bool:
    return run.state in OPEN_RUNS and run.resumed == watch.resumed
