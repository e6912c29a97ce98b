"""One soak from its start to its verdict."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tidegate import Client
from tidegate.client import ServerError, Unreachable
from tidegate.domain.errors import TooManyRequests, Unavailable

from .chaos import Chaos
from .plan import QUEUES, Plan
from .processes import Home
from .verdict import Verdict, verdict

_CHUNK = 100
_AGAIN_SECONDS = 0.3
_LOOK_SECONDS = 0.5
_NEARLY_ALL = 0.97
"""When so much has ended nothing more goes wrong."""
_TROUBLE = (Unreachable, Unavailable, ServerError, TooManyRequests)
_CANCELLED_RUNNING, _CANCELLED_WAITING = 0.5, 0.02
"""Of the endless jobs seen at one look."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a soak came to. Times are seconds."""

    verdict: Verdict
    harm: Mapping[str, int]
    troubled_seconds: float
    """While processes were killed."""
    rest_seconds: float
    """From then until every job had ended."""


def soak(
    plan: Plan, folder: Path, *, seconds: float, pause: float, linger: float = 0.0, patience: float = 900.0
) -> Soaked:
    """Put the plan through a home of real processes in `folder`.

    For at most `seconds` something is killed about once in `pause` seconds, and until nearly all has ended; then all
    must come to rest within `patience` seconds, else AssertionError is raised. Everything is looked at `linger` seconds
    later: a doctor gives what is younger than three minutes time to heal by itself.
    """
    home = Home(folder)
    try:
        home.start()
        with home.client() as client:
            for name, settings in QUEUES.items():
                client.put_queue(name, **settings)
        harm, troubled, rest = _troubled(home, plan, seconds, pause, patience)
        time.sleep(linger)
        return Soaked(verdict(home, plan), harm, troubled, rest)
    finally:
        home.stop()


def _troubled(
    home: Home, plan: Plan, seconds: float, pause: float, patience: float
) -> tuple[Mapping[str, int], float, float]:
    """Put the plan through; answers what was done to the home, for how long, and how long it took to rest."""
    began = time.monotonic()
    chaos = Chaos(home, plan.seed, pause)
    with ThreadPoolExecutor(2) as threads:
        users = [threads.submit(_submit, home, plan), threads.submit(_cancel, home, plan)]
        chaos.start()
        try:
            _until(lambda: time.monotonic() - began > seconds or _ended(home) > _NEARLY_ALL * plan.total, users)
        finally:
            chaos.stop()
        calm = time.monotonic()
        at_rest = _until(lambda: _ended(home) == plan.total or time.monotonic() - calm > patience, users)
    assert _ended(home) == plan.total, f"not at rest: {_states(home)}, see {home.folder}"
    return chaos.done, calm - began, at_rest - calm


def _until(is_so: Callable[[], bool], users: Sequence[Future[None]]) -> float:
    """Wait for something and answer when it came; what went wrong with the users is raised."""
    while not is_so():
        for user in users:
            if user.done():
                user.result()
        time.sleep(_LOOK_SECONDS)
    return time.monotonic()


def _submit(home: Home, plan: Plan) -> None:
    """Submit everything, however often the server is away: ids make it safe to do so again."""
    submissions, dags = plan.submissions(), iter(plan.dags)
    with home.client() as client:
        while chunk := [job for _, job in itertools.islice(submissions, _CHUNK)]:
            _insist(partial(_accepted, client, chunk))
            for body in itertools.islice(dags, 1 + plan.runs * _CHUNK // max(1, plan.jobs)):
                _insist(partial(client.submit_dag, body))
        for body in dags:
            _insist(partial(client.submit_dag, body))


def _accepted(client: Client, chunk: list[dict[str, Any]]) -> None:
    batch = client.submit_many(chunk)
    assert not batch.rejected, batch.rejected


def _cancel(home: Home, plan: Plan) -> None:
    """Cancel what would never end by itself: mostly what runs, now and then what waits."""
    rng = random.Random(plan.seed)
    left = {job["job_id"] for kind, job in plan.submissions() if kind.end == "CANCELLED"}
    with home.client() as client:
        while left:
            for job in _insist(lambda: list(client.list(name="endless", state=["CREATED", "RETRY", "ACTIVE"]))):
                if job.id in left and rng.random() < (
                    _CANCELLED_RUNNING if job.state == "ACTIVE" else _CANCELLED_WAITING
                ):
                    _insist(partial(client.cancel, job.id))
                    left.discard(job.id)
            time.sleep(_LOOK_SECONDS)


def _insist(act: Callable[[], T]) -> T:
    """Do it again until the server has answered."""
    while True:
        try:
            return act()
        except _TROUBLE:
            time.sleep(_AGAIN_SECONDS)


def _ended(home: Home) -> int:
    states = _states(home)
    return sum(states.values()) - sum(states.get(state, 0) for state in ("CREATED", "RETRY", "ACTIVE"))


def _states(home: Home) -> Mapping[str, int]:
    def look() -> Mapping[str, int]:
        with home.client() as client:
            return client.stats().states

    return _insist(look)
