"""How often to look at a job while waiting for it."""

from __future__ import annotations

SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


def next_look(waited: float, timeout: float | None) -> float | None:
    """Seconds until the next look after `waited` seconds, or None when the time is up.

    A tenth of the time waited: a short job is noticed at once, a long one costs few requests.
    """
    pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, waited / 10))
    if timeout is None:
        return pause
    left = timeout - waited
    return min(pause, left) if left > 0 else None
