"""Pages of jobs: from a query string to the store's query, offsets by walking, counts where they are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from tidegate.domain.caller import Caller
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import COARSE, Job, State, states_named
from tidegate.ports import JobPage, JobQuery, Ports
from tidegate.service.control import list_jobs, total_count

from .bodies import MAX_LIMIT
from .query_models import ListQuery
from .views import job_view
from .wire import dump, fits

JobView = Callable[[Job], dict[str, Any]]
_MAX_STEPS = 100
"""Pages read to reach an offset; filtered pages may be shorter than asked for."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One page as it is answered."""

    jobs: list[dict[str, Any]]
    total_count: int | None
    next_cursor: str | None


def query_of(asked: ListQuery, metadata: dict[str, str], tenant: str) -> JobQuery:
    """The store's query. Raises InvalidInput for an unknown state, or an offset beside a cursor."""
    if asked.cursor is not None and asked.offset:
        raise InvalidInput.field("offset", "must not be given together with cursor")
    return JobQuery(
        tenant=tenant,
        states=states_of(asked.state, "state"),
        queue=asked.queue,
        name=asked.name,
        owner=asked.owner,
        tag=asked.tag,
        dag_id=asked.dag_id,
        metadata=metadata,
        created_from=asked.created_from,
        created_to=asked.created_to,
        limit=asked.limit,
        cursor=asked.cursor,
    )


def listed(
    ports: Ports, caller: Caller, query: JobQuery, offset: int, view: JobView = job_view, *, count: bool = True
) -> Listed:
    """The page of `query` after `offset` jobs, each as `view` shows it, shortened if need be to fit one answer."""
    skipped, start = _skip(ports, caller, query, offset)
    if start is None:
        return Listed([], skipped, None)
    page, views = _fitting(ports, caller, start, view)
    if not count:
        return Listed(views, None, page.next_cursor)
    known = offset + len(views) if start.cursor is None or offset else None
    return Listed(views, _total(ports, caller, query, known, page.next_cursor), page.next_cursor)


def _skip(ports: Ports, caller: Caller, query: JobQuery, offset: int) -> tuple[int, JobQuery | None]:
    """How many jobs were passed over, and the query that goes on from there; None where the listing ends."""
    skipped, start = 0, query
    for _ in range(_MAX_STEPS):
        if skipped >= offset:
            return skipped, start
        page = list_jobs(ports, caller, replace(start, limit=min(MAX_LIMIT, offset - skipped)))
        skipped += len(page.jobs)
        if page.next_cursor is None:
            return skipped, None
        start = replace(start, cursor=page.next_cursor)
    raise InvalidInput.field("offset", "is too far with these filters: follow next_cursor instead")


def _fitting(ports: Ports, caller: Caller, query: JobQuery, view: JobView) -> tuple[JobPage, list[dict[str, Any]]]:
    """The page, asked for again with half the limit while it is too large to be answered."""
    while True:
        page = list_jobs(ports, caller, query)
        views = [view(job) for job in page.jobs]
        if query.limit == 1 or fits(dump(views)):
            return page, views
        query = replace(query, limit=query.limit // 2)


def _total(ports: Ports, caller: Caller, query: JobQuery, known: int | None, next_cursor: str | None) -> int | None:
    """How many jobs the query has in all pages, or None where only walking through them could tell.

    Exact where the listing ends here, and where the home can count; else from the counters, seconds late.
    """
    if next_cursor is None and known is not None:
        return known
    total = total_count(ports, caller, query)
    if total is None:
        return None
    return max(total, (known or 0) + 1) if next_cursor is not None else total


def states_of(words: Iterable[str], field: str) -> frozenset[State]:
    """The states that words name, fine or coarse, with commas or each for itself. Raises InvalidInput."""
    found: frozenset[State] = frozenset()
    for word in ",".join(words).split(",") if words else ():
        states = states_named(word.strip())
        if not states:
            known = ", ".join([*State, *dict.fromkeys(COARSE.values())])
            raise InvalidInput.field(field, f"'{word[:64]}' is not one of {known}")
        found |= states
    return found
