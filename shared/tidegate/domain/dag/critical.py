"""The path that decided when a run ended, or that decides it now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

from tidegate.domain.job import TERMINAL, Job, Ms, State


class Span(NamedTuple):
    """When a node was at work; None for what has not come yet."""

    started: Ms | None
    ended: Ms | None

    @classmethod
    def of(cls, job: Job, first_entry: Ms | None = None) -> Self:
        """The span of a node's job, which begins with its first entry; a skipped node was never at work."""
        if job.state is State.SKIPPED:
            return cls(None, None)
        starts = [start for start in (job.started_at, first_entry) if start is not None]
        return cls(min(starts, default=None), job.completed_at if job.state in TERMINAL else None)

    def end(self, now: Ms) -> Ms | None:
        """When it ended; now, while it goes on; None if it never began."""
        if self.started is None:
            return None
        return now if self.ended is None else self.ended


def critical_path(spans: Mapping[str, Span], edges: Iterable[tuple[str, str]], now: Ms) -> tuple[str, ...]:
    """Nodes from first to last: from the one that ended last, or is still at work, back over the parent that each
    waited for longest. Whoever wants the run to end sooner has to shorten these. Empty before anything has begun.
    """
    ends = {node: end for node, span in spans.items() if (end := span.end(now)) is not None}
    parents: defaultdict[str, list[str]] = defaultdict(list)
    for parent, child in edges:
        if parent in ends:
            parents[child].append(parent)
    path: list[str] = []
    candidates: Iterable[str] = ends
    while (last := max(candidates, key=ends.__getitem__, default=None)) is not None:
        path.append(last)
        candidates = parents[last]
    return tuple(reversed(path))
