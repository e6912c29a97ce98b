"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tidegate.domain.errors import InvalidInput, TidegateError, TooManyRequests, Unavailable

from .errors import Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How patient a client is. Durations are seconds."""

    tries: int = 6
    """How often one request is sent at most."""
    base: float = 0.2
    cap: float = 10.0
    longest_wait: float = 60.0
    """A server that asks for more patience than this (`Retry-After`) gets none."""

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise InvalidInput.field("tries", "must be at least 1")
        if not 0 <= self.base <= self.cap:
            raise InvalidInput.field("base", "must be from 0 to cap")

    def pause_after(
        self,
        tries_made: int,
        error: TidegateError,
        *,
        repeatable: bool,
        rng: Callable[[], float] = random.random,
    ) -> float | None:
        """Seconds until the next try, or None to give up and raise `error`.

        `repeatable` says that doing it twice is as good as once; `rng` draws from 0 to 1.
        """
        asked: float = error.details.get("retry_after", 0.0)
        if tries_made >= self.tries or asked > self.longest_wait or not worth_repeating(error, repeatable=repeatable):
            return None
        return asked + rng() * self.curve(tries_made)

    def curve(self, tries_made: int) -> float:
        """The longest pause after so many tries: doubled each time, at most `cap`; jitter takes a share of it."""
        return min(self.cap, self.base * 2.0 ** min(tries_made - 1, 62))


def worth_repeating(error: TidegateError, *, repeatable: bool) -> bool:
    """Whether sending the request again is safe and may help.

    - refused by a limit: nothing was done, so always
    - no connection was made: nothing was sent, so always
    - the answer was lost, or the store was busy: it may have been done, so only what is repeatable
    """
    if isinstance(error, TooManyRequests):
        return True
    if isinstance(error, Unreachable):
        return repeatable or not error.details.get("sent", True)
    return repeatable and isinstance(error, Unavailable)
