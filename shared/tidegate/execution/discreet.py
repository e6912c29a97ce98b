"""The outermost edge of every function: an error that leaves it says nothing of what the function was given.

Lambda writes what a function raises to its log, text and all, and the text of a library's error may quote a payload.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from tidegate.domain.errors import TidegateError, place_of

_log = logging.getLogger("tidegate.functions")

E = TypeVar("E")
R = TypeVar("R")


class FunctionFailed(Exception):
    """A function failed by an error that nobody foresaw: its kind. The log has the place too."""


def discreet(handler: Callable[[E, Any], R]) -> Callable[[E, Any], R]:
    """The same handler, whose errors are Tidegate's own, or FunctionFailed with nothing but their kind.

    Tidegate's own keep their kind, which state machines tell apart, and lose what they were raised from.
    """

    @wraps(handler)
    def guarded(event: E, context: Any) -> R:
        try:
            return handler(event, context)
        except TidegateError as error:
            bare: Exception = error.with_traceback(None)
            bare.__cause__ = bare.__context__ = None
        except Exception as error:
            _log.error("function failed: %s", place_of(error), extra={"action": "function_failed"})
            bare = FunctionFailed(type(error).__name__)
        raise bare

    return guarded
