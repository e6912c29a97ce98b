"""A token bucket: so many a second on the long run, and at most so many at once after a pause."""

from __future__ import annotations

from dataclasses import dataclass

from .job import Ms


@dataclass(frozen=True, slots=True)
class Bucket:
    """`rate` a second, at most `burst` at once. Its whole state is one time: when it is full again."""

    rate: float
    burst: int

    @property
    def each(self) -> int:
        """Microseconds that one takes to come back."""
        return max(1, round(1_000_000 / self.rate))

    def room(self, full_at: int, now: Ms) -> int:
        """How many may pass at once now; `full_at` is in microseconds since 1970."""
        missing = max(0, full_at - now * 1000)
        return max(0, (self.burst * self.each - missing) // self.each)

    def after(self, full_at: int, now: Ms, passed: int) -> int:
        """When it is full again once so many have passed."""
        return max(full_at, now * 1000) + passed * self.each

    def seconds_until(self, full_at: int, now: Ms, wanted: int = 1) -> float:
        """Until so many may pass, at most a burst."""
        missing = max(0, full_at - now * 1000)
        return max(0, missing - (self.burst - min(wanted, self.burst)) * self.each) / 1_000_000
