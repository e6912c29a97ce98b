"""How many jobs a worker may still run, shared by its threads."""

from __future__ import annotations

import threading


class Budget:
    """Counts jobs against a limit (None: no limit), exactly, however many threads draw on it.

    Who is about to take up to `n` jobs reserves them first, spends one for each that ran, and releases the rest.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._reserved = 0
        self._spent = 0

    def reserve(self, wanted: int) -> int:
        """Set aside up to `wanted`; answers how many, 0 while all that is left is set aside by others."""
        with self._lock:
            left = wanted if self._limit is None else self._limit - self._spent - self._reserved
            granted = max(0, min(wanted, left))
            self._reserved += granted
            return granted

    def release(self, unused: int) -> None:
        """Give back what was set aside and not used."""
        with self._lock:
            self._reserved -= unused

    def spend(self) -> None:
        """One that was set aside has run."""
        with self._lock:
            self._reserved -= 1
            self._spent += 1

    @property
    def spent(self) -> int:
        """How many ran."""
        return self._spent

    @property
    def is_spent(self) -> bool:
        """Whether all have run."""
        return self._limit is not None and self._spent >= self._limit
