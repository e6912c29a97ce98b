"""The Lambda handlers, called in this process: the embedded home runs the cloud's own code."""

from __future__ import annotations

import importlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

PACKAGE = "tidegate_functions"
Handler = Callable[[dict[str, Any], Any], Any]


@dataclass(frozen=True, eq=False)
class Context:
    """What Lambda tells a function about its invocation, as far as the functions ask. Equal only to itself."""

    function_name: str
    seconds: float = 900.0
    memory_limit_in_mb: int = 0
    invoked_function_arn: str = "arn:aws:lambda:local:000000000000:function:local"
    _started: float = field(default_factory=time.monotonic)
    _ended: list[bool] = field(default_factory=list)

    @cached_property
    def aws_request_id(self) -> str:
        """The invocation's name."""
        return str(uuid.uuid4())

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation would be ended."""
        if self._ended:
            return 0
        return round((self._started + self.seconds - time.monotonic()) * 1000)

    def end(self) -> None:
        """Let no time be left: nobody waits for the answer any more."""
        self._ended.append(True)


def invoke(name: str, event: dict[str, Any], context: Context | None = None) -> Any:
    """Call the handler of `functions/<name>` with an event, as Lambda would."""
    return _handler(name)(event, context or Context(name))


def preload(*names: str) -> None:
    """Import the handlers of these functions now, on this thread.

    Threads that import modules of one circle at once may each see the other's half-made ones.
    """
    for name in names:
        _handler(name)


@cache
def _handler(name: str) -> Handler:
    handler: Handler = importlib.import_module(f"{PACKAGE}.{name}.handler").handler
    return handler
