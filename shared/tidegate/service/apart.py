"""Things of which none depends on another, done in turn: one that fails keeps no other from being done."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from tidegate.domain.errors import Unavailable, kind_and_place

_log = logging.getLogger("tidegate.apart")
A = TypeVar("A")


class Apart:
    """Remembers what went wrong, and raises it at the end."""

    def __init__(self, action: str) -> None:
        """`action` is the key under which failures are logged."""
        self._action = action
        self._errors: list[Exception] = []

    def do(self, name: str, part: Callable[[], A], otherwise: A) -> A:
        """What the part answers, or `otherwise` if it fails."""
        try:
            return part()
        except Exception as error:
            extra = {"action": self._action, "part": name}
            _log.error("%s failed and was passed over: %s", name, kind_and_place(error), extra=extra)
            self._errors.append(error)
            return otherwise

    def conclude(self, only: type[Exception] = Exception) -> None:
        """Raise what a part raised, if one did and it is an `only`: rather what nobody expects than Unavailable."""
        errors = sorted(self._errors, key=lambda error: isinstance(error, Unavailable))
        for error in errors:
            if isinstance(error, only):
                raise error
