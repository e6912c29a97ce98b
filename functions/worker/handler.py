"""SQS batch → claim, run and settle a job per ticket; tickets still needed are reported as failed."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any

from tidegate import __version__, runtime
from tidegate.domain.errors import TidegateError
from tidegate.domain.job import Job
from tidegate.execution.correlating import correlated
from tidegate.execution.discreet import discreet
from tidegate.execution.presence import TELL_SECONDS_LAMBDA, Presence, describe
from tidegate.execution.runner import Again, Runner, Verdict
from tidegate.ports import Delivery, Tickets
from tidegate.service.bury import correlation_of
from tidegate.settings import worker_settings_from

from .figures import Waits

_log = logging.getLogger("tidegate.worker")
_waits = Waits()
_SETTLE_SECONDS = 5.0
"""Kept free at the end of an invocation, to record the outcome of an attempt that used up its time."""
_START_SHARE = 0.5
"""No job is started once this share of the invocation's time is gone; its ticket goes back at once."""


@discreet
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serve the batch; the answer names the messages that SQS must deliver again."""
    app = runtime.current()
    budget = context.get_remaining_time_in_millis() / 1000
    failures = []
    for record in event["Records"]:
        left = context.get_remaining_time_in_millis() / 1000 - _SETTLE_SECONDS
        delivery = delivery_of(record)
        if left < budget * _START_SHARE:
            app.ports.tickets.again(delivery, 0)
            failures.append(record["messageId"])
        elif _needed_again(_runner(app), app.ports.tickets, delivery, left):
            failures.append(record["messageId"])
    _waits.publish(app.settings.cloud_stage, len(failures))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failures]}


def delivery_of(record: dict[str, Any]) -> Delivery:
    """The delivery in an SQS event record."""
    receives = int(record["attributes"]["ApproximateReceiveCount"])
    return Delivery(record["body"], record["eventSourceARN"].rpartition(":")[2], record["receiptHandle"], receives)


def _needed_again(runner: Runner, tickets: Tickets, delivery: Delivery, seconds_left: float) -> bool:
    def acknowledge(verdict: Verdict) -> None:
        if isinstance(verdict, Again):
            tickets.again(delivery, verdict.seconds)

    with correlated(correlation_of(delivery.body)):
        try:
            return isinstance(runner.serve(delivery, acknowledge, seconds_left=seconds_left), Again)
        except TidegateError as error:
            _log.warning("ticket not served: %s", error, extra={"action": "ticket_failed", "code": error.code})
            return True


@cache
def _runner(app: runtime.App) -> Runner:
    worker, worker_id = worker_settings_from(os.environ, app.settings.pools), runtime.default_worker_id()
    names = runtime.executors_of(app, worker.handlers)
    about = describe(worker_id, kind="lambda", pool=worker.pool, version=__version__, names=names)
    presence = Presence(about, app.ports.workers.put, list, every=TELL_SECONDS_LAMBDA, now=app.ports.now)

    def starts(job: Job) -> None:
        presence.starts(job)
        _waits.starts(job)

    return runtime.runner(app, worker.handlers, worker_id=worker_id, on_start=starts)
