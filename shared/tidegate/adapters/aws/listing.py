"""Pages of a tenant's jobs, merged from the partitions they are spread over.

Every partition is read newest first, a part at a time. A page ends where its jobs end, or, when filters drop
so much that the reading must stop, at the newest place that some partition has not been read beyond. So one
sort value is all that a cursor carries; the tenant always comes from the query.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import RESTARTABLE, Job, Ms, State
from tidegate.ports import JobPage, JobQuery

from .attributes import Item
from .expressions import Placeholders, filter_for, is_unfiltered, matches
from .keys import SHARDS, is_key, job_partitions, shelf_board, time_prefix
from .parallel import Parallel
from .records import job_of, live_job
from .tables import Table

MAX_READS = 20
"""Requests to one partition for one page."""
_FILTERED_READ = 250
"""Items looked at by one filtered request: with items of about 1 KB a quarter of what DynamoDB reads at once."""
_SHELVED = RESTARTABLE | {State.SKIPPED}
_CURSOR_VERSION = 1
_START = "~"
"""Sorts after every key."""
_CLOCKS_APART_MS = 600_000
"""How far the time in a caller's own UUIDv7 may be from the time its job was made, for a listing by time to find it."""
_TIME_DIGITS = 13
"""Of a UUIDv7, its hyphen counted."""
_SHELF_PLACE = re.compile(r"\d{15}#(.*)")


class Placed(NamedTuple):
    """A job and its sort value in its partition."""

    place: str
    job: Job


class Part(NamedTuple):
    """What one request found, and how far it looked (None: to the end)."""

    found: Sequence[Placed]
    position: str | None


class Source(ABC):
    """One partition, read newest first."""

    def __init__(self, position: str) -> None:
        self.position: str = position
        """Everything after this sort value has been looked at; empty once all has."""
        self.found: list[Placed] = []

    def advance(self) -> None:
        """Read the next part."""
        part = self.read(self.position)
        self.found += part.found
        self.position = part.position or ""

    @abstractmethod
    def read(self, before: str) -> Part:
        """The jobs next below a sort value."""


class Listing:
    """Answers pages."""

    def __init__(self, table: Table, parallel: Parallel, now: Callable[[], Ms]) -> None:
        self._table = table
        self._parallel = parallel
        self._now = now

    def page(self, query: JobQuery) -> JobPage:
        """See `JobStore.page`."""
        by_end = bool(query.states) and query.states <= _SHELVED
        start = _START if query.cursor is None else _decode(query.cursor, by_end=by_end)
        sources: list[Source]
        if by_end:
            sources = [_Shelf(self._table, query, state, self._now, start) for state in sorted(query.states)]
        else:
            sources = [_Shard(self._table, query, pk, self._now, start) for pk in job_partitions(query.tenant)]
        self._read(sources, query.limit)
        return _page(sources, query.limit, by_end=by_end)

    def _read(self, sources: Sequence[Source], limit: int) -> None:
        """Advance the sources until the newest `limit` jobs are known, or each was read `MAX_READS` times."""
        for _ in range(MAX_READS):
            found = _merged(sources)
            enough = found[limit - 1].place if len(found) >= limit else ""
            behind = [source for source in sources if source.position > enough]
            if not behind:
                return
            self._parallel.map(lambda source: source.advance(), behind)


class _Shard(Source):
    """A partition of the table, in the order of creation."""

    def __init__(self, table: Table, query: JobQuery, pk: str, now: Callable[[], Ms], start: str) -> None:
        bounds = [bound for bound in (query.created_to, query.ended_before) if bound is not None]
        latest = time_prefix(min(bounds) + _CLOCKS_APART_MS) if bounds else _START
        super().__init__(min(start, latest))
        self._table = table
        self._query = query
        self._pk = pk
        self._now = now
        self._first = "0" if query.created_from is None else time_prefix(query.created_from - _CLOCKS_APART_MS)
        if query.dag_id is not None and is_key(query.dag_id):
            # the ids of a run's jobs begin with the run's time
            time = query.dag_id[:_TIME_DIGITS]
            self.position, self._first = min(self.position, time + _START), max(self._first, time)
        self._size = max(8, 2 * query.limit // SHARDS) if is_unfiltered(query) else _FILTERED_READ

    def read(self, before: str) -> Part:
        if before <= self._first:
            return Part((), None)  # DynamoDB refuses bounds in the wrong order
        marks = Placeholders()
        keys = f"{marks.name('pk')} = {marks.text(self._pk)} AND {marks.name('sk')} "
        bounds = f"BETWEEN {marks.text(self._first)} AND {marks.text(before)}"
        part = self._table.slice(
            self._size,
            KeyConditionExpression=keys + bounds,
            FilterExpression=filter_for(self._query, self._now(), marks),
            ScanIndexForward=False,
            **marks.arguments(),
        )
        found = [Placed(item["sk"]["S"], job_of(item)) for item in part.items if item["sk"]["S"] < before]
        return Part(found, None if part.last is None else part.last["sk"]["S"])


class _Shelf(Source):
    """A partition of the index, in the order of ending. The jobs are read again: the index lags."""

    def __init__(self, table: Table, query: JobQuery, state: State, now: Callable[[], Ms], start: str) -> None:
        super().__init__(start if query.ended_before is None else min(start, f"{query.ended_before:015d}"))
        self._table = table
        self._query = query
        self._state = state
        self._now = now

    def read(self, before: str) -> Part:
        part = self._table.slice(
            max(8, self._query.limit) if is_unfiltered(self._query) else _FILTERED_READ,
            IndexName="board",
            KeyConditionExpression="board = :board AND board_at < :before",
            ExpressionAttributeValues={
                ":board": {"S": shelf_board(self._query.tenant, self._state)},
                ":before": {"S": before},
            },
            ScanIndexForward=False,
        )
        return Part(self._jobs(part.items), None if part.last is None else part.last["board_at"]["S"])

    def _jobs(self, entries: Sequence[Item]) -> list[Placed]:
        keys = [(entry["pk"]["S"], entry["sk"]["S"]) for entry in entries]
        items = self._table.get_many(keys)
        now = self._now()
        return [
            Placed(entry["board_at"]["S"], job)
            for entry, key in zip(entries, keys, strict=True)
            if (job := live_job(items.get(key), now)) and job.state is self._state and matches(self._query, job)
        ]


def _merged(sources: Sequence[Source]) -> list[Placed]:
    found = (placed for source in sources for placed in source.found)
    return sorted(found, key=lambda placed: placed.place, reverse=True)


def _page(sources: Sequence[Source], limit: int, *, by_end: bool) -> JobPage:
    """What is certain to be newest: nothing before the place up to which every source was read."""
    frontier = max(source.position for source in sources)
    found = _merged(sources)
    certain = [placed for placed in found if placed.place >= frontier][:limit]
    jobs = [placed.job for placed in certain]
    if len(certain) == limit and (frontier or len(found) > limit):
        return JobPage(jobs, _encode(certain[-1].place, by_end=by_end))
    return JobPage(jobs, _encode(frontier, by_end=by_end) if frontier else None)


def _encode(place: str, *, by_end: bool) -> str:
    text = json.dumps([_CURSOR_VERSION, by_end, place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str, *, by_end: bool) -> str:
    """The sort value in a cursor that `_encode` made for this kind of listing; raises InvalidInput otherwise."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        body: Any = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        body = None
    if isinstance(body, list) and len(body) == 3 and _is_place(body[2], by_end=by_end):
        place = str(body[2])
        if _encode(place, by_end=by_end) == cursor:
            return place
    raise InvalidInput.field("cursor", "must be one that this listing answered")


def _is_place(value: object, *, by_end: bool) -> bool:
    if not isinstance(value, str):
        return False
    if not by_end:
        return is_key(value)
    found = _SHELF_PLACE.fullmatch(value)
    return found is not None and is_key(found[1])
