"""Webhooks of a server that has no workers of its own: those over HTTPS may not read the secrets."""

from __future__ import annotations

import threading

from tidegate import runtime
from tidegate.domain.queue import DEFAULT_POOL
from tidegate.domain.webhook import WEBHOOK_QUEUE
from tidegate.execution.runner import Runner
from tidegate.runtime import App
from tidegate.service.claim_lanes import Wanted
from tidegate.worker.budget import Budget
from tidegate.worker.claims import ClaimLoop, LaneSource

_THREADS = 4
"""A receiver that is slow holds up one of them, for 15 s at most."""
_PAUSES = (0.05, 0.5)


class Deliveries:
    """Sends the messages of the home's webhooks from threads of this process."""

    def __init__(self, app: App) -> None:
        executors, worker_id = runtime.own_executors(app.ports), runtime.default_worker_id()
        seconds = runtime.lease_seconds(app)
        wanted = Wanted(
            worker_id=worker_id, pool=DEFAULT_POOL, queues=frozenset({WEBHOOK_QUEUE}), lease_seconds=seconds
        )
        runners = [
            Runner(app.ports, executors, worker_id=worker_id, lease_seconds=seconds, end_process=_live_on)
            for _ in range(_THREADS)
        ]
        self._close = app.ports.close
        self._loop = ClaimLoop(LaneSource(app.ports, wanted, *_PAUSES), runners, Budget(None), app.ports.close)
        self._thread = threading.Thread(target=self._run, name="tidegate-webhooks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being sent, and end."""
        self._loop.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run()
        finally:
            self._close()


def _live_on(_: int) -> None:
    """A message that cannot be interrupted ends by itself; the server goes on."""
