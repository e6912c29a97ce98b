"""Jobs by a prefix of their id."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tidegate.domain.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from tidegate.client import Client

T = TypeVar("T")
REACH = 5_000
"""How many of the newest jobs are searched."""


def by_id_or_prefix(client: Client, given: str, act: Callable[[str], T]) -> T:
    """`act` on the job with the id `given`, else on the only one whose id begins so.

    Raises NotFound, InvalidInput when several ids begin so.
    """
    try:
        return act(given)
    except NotFound as error:
        return act(_only_id_like(client, given, error))


def _only_id_like(client: Client, prefix: str, not_found: NotFound) -> str:
    found: list[str] = []
    for job in client.list(max_jobs=REACH):
        if job.id.startswith(prefix):
            found.append(job.id)
        if len(found) > 1:
            raise InvalidInput(f"several jobs begin with '{prefix}': {', '.join(found)}, …; give more of the id")
    if not found:
        raise not_found
    return found[0]
