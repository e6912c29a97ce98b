"""The pools of the embedded home."""

from __future__ import annotations

from collections.abc import Iterator, Set

from tidegate.domain.queue import DEFAULT_POOL


class EveryPool(Set[str]):
    """Any name is a pool: there is nothing to deploy for it, a queue names it and workers serve it.

    Its elements are those that are always there.
    """

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __iter__(self) -> Iterator[str]:
        return iter((DEFAULT_POOL,))

    def __len__(self) -> int:
        return 1
