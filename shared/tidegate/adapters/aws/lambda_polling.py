"""Event source mappings that sleep while nothing is to be done: Lambda polls no queue of a stage that lies idle."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from tidegate.domain.job import Ms

from .clients import Clients, code_of, request

_log = logging.getLogger("tidegate.clock")
AWAKE_MS = 3_600_000
"""For so long a process that found the mappings awake takes them for so: the clock lets them sleep only when no lane
was used for longer than that."""
_ASLEEP = frozenset({"Disabled", "Disabling"})
_BUSY = frozenset({"ResourceConflictException", "ResourceInUseException"})
"""A mapping is being changed by someone: the next call will find it done."""


class LambdaPolling:
    """`Polling` by enabling and disabling event source mappings, given by their UUIDs."""

    def __init__(self, clients: Clients, mappings: Sequence[str], now: Callable[[], Ms]) -> None:
        self._clients = clients
        self._mappings = mappings
        self._now = now
        self._awake_since: Ms | None = None
        self._resting = False

    def wake(self) -> None:
        """See `Polling.wake`. Asks for the state of each mapping at most once an hour."""
        now = self._now()
        if self._awake_since is not None and 0 <= now - self._awake_since < AWAKE_MS:
            return
        if self._all(enabled=True):
            self._awake_since, self._resting = now, False

    def rest(self) -> None:
        """See `Polling.rest`."""
        if not self._resting and self._all(enabled=False):
            self._awake_since, self._resting = None, True

    def _all(self, *, enabled: bool) -> bool:
        """Whether all mappings are, or will be, as wanted; one that cannot be changed now does not stop the others."""
        settled = [self._settle(mapping, enabled=enabled) for mapping in self._mappings]
        return all(settled)

    def _settle(self, mapping: str, *, enabled: bool) -> bool:
        """Whether the mapping is, or will be, as wanted."""
        found = request(self._clients.lambda_.get_event_source_mapping, UUID=mapping)
        if (found["State"] not in _ASLEEP) == enabled:
            return True
        try:
            request(self._clients.lambda_.update_event_source_mapping, UUID=mapping, Enabled=enabled)
        except ClientError as error:
            if code_of(error) not in _BUSY:
                raise
            return False
        _log.info("queues are %s", "polled again" if enabled else "no longer polled", extra={"action": "polling"})
        return True
