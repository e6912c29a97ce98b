"""Celery on Redis. With BENCH_LATE: acknowledged after the job, results kept, given to another worker after 10 s."""

from __future__ import annotations

import os

import redis
from celery import Celery

from benchmarks.embedded import sink

URL = os.environ["BENCH_REDIS"]
LATE = bool(os.environ.get("BENCH_LATE"))
app = Celery("bench", broker=URL, backend=URL if LATE else None)
app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=not LATE)
if LATE:
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        broker_transport_options={"visibility_timeout": 10},
    )


@app.task
def noop(number: int) -> int:
    """The body of a job."""
    return sink.noop(number)


@app.task
def slow(number: int) -> int:
    """The body of a long job."""
    return sink.slow(number)


def setup() -> None:
    """Begin with an empty server."""
    redis.Redis.from_url(URL).flushall()


def one(kind: str, number: int) -> None:
    """Submit one job."""
    (noop if kind == "noop" else slow).delay(number)


def many(first: int, count: int) -> None:
    """Submit `count` no-op jobs over one connection; Celery has no call for several."""
    with app.producer_pool.acquire(block=True) as producer:
        for number in range(first, first + count):
            noop.apply_async((number,), producer=producer)
