"""The cloud home as a test has it, and callers of the API."""

from __future__ import annotations

from typing import Any

from gateway import Api
from tidegate_functions.changes.handler import handler as change

from home import Clock, Home
from support.streams import JobsStream
from tidegate import runtime
from tidegate.adapters.aws.clients import Clients
from tidegate.execution.context import JobContext
from tidegate.runtime import App

SLOTS = 5
USER = Api(scopes="submit read")
OPERATOR = Api(user="olga", scopes="submit read operate")


class CloudHome(Home):
    """A home on moto whose change feed is the stream of the jobs table."""

    def __init__(self, app: App, clock: Clock, clients: Clients) -> None:
        super().__init__(app, clock)
        self._stream = JobsStream(clients.dynamodb)

    def pump(self) -> None:
        """Hand the records that the stream has got since to the change feed's function."""
        records = self._stream.records()
        with runtime.use(self.app):
            assert change({"Records": records}, None) == {"batchItemFailures": []}


def run(home: Home, **functions: Any) -> None:
    """Run all jobs that are ready, and let the change feed count."""
    home.drain(home.runner(**functions))
    home.pump()


def fail(job: JobContext) -> None:
    """A handler that always raises."""
    raise RuntimeError(f"document {job.id} of 1234 bytes cannot be read")


def fail_until(attempt: int) -> Any:
    """A handler that succeeds with a given attempt."""

    def handle(job: JobContext) -> int:
        if job.attempt < attempt:
            raise RuntimeError("not yet")
        return job.attempt

    return handle
