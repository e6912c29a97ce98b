"""Tickets as rows: visibility time-out, delay and receive count, as SQS has them; and its fairness between tenants.

Tenants take turns, each with its best band: however many tickets one has, another's first is the next but one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from tidegate.domain.job import Ms
from tidegate.domain.priority import Band
from tidegate.domain.ticket import Ticket, encode
from tidegate.ports import Delivery, Depth

from .database import Database

_BANDS = tuple(Band)
_POLL_SECONDS, _LIVELY_POLL_SECONDS = 0.002, 0.0005
"""Between two looks for news: half of it is what waiting for a ticket adds to a start. The shorter is 3% of a core."""
_LIVELY_SECONDS = 1.0
"""For so long after a ticket came the next one is taken to be near."""
_KEPT_MS = 14 * 86_400_000
"""A ticket that nobody takes is dropped so long after it could be seen: the longest retention of SQS."""
_SWEEP_EVERY_MS = 3_600_000


class SqliteTickets:
    """`Tickets` on one file. `visibility` is seconds that a delivered ticket stays out of sight."""

    def __init__(self, database: Database, now: Callable[[], Ms], visibility: float) -> None:
        self._database = database
        self._now = now
        self._visibility = round(visibility * 1000)
        self._swept: dict[str, Ms] = {}
        self._turn: dict[str, str] = {}
        self._lively_until = 0.0

    def send(self, tickets: Sequence[tuple[Ticket, float]]) -> None:
        """See `Tickets.send`."""
        now = self._now()
        rows = [
            (ticket.pool, ticket.tenant, _BANDS.index(ticket.band), now + round(delay * 1000), encode(ticket))
            for ticket, delay in tickets
        ]
        self._database.many("INSERT INTO tickets (pool, tenant, band, visible_at, body) VALUES (?, ?, ?, ?, ?)", rows)
        for pool in {ticket.pool for ticket, _ in tickets}:
            self._sweep(pool, now)

    def receive(self, pool: str, limit: int, wait: float) -> Sequence[Delivery]:
        """See `Tickets.receive`."""
        end = time.monotonic() + wait
        while True:
            version = self._database.version()
            found = self._take(pool, limit)
            if found:
                self._lively_until = time.monotonic() + _LIVELY_SECONDS
            if found or not self._until_changed(pool, version, end):
                return found

    def finish(self, deliveries: Sequence[Delivery]) -> None:
        """See `Tickets.finish`."""
        rows = [_identity(delivery) for delivery in deliveries]
        self._database.many("DELETE FROM tickets WHERE seq = ? AND receives = ?", rows)

    def again(self, delivery: Delivery, seconds: float) -> None:
        """See `Tickets.again`."""
        sql = "UPDATE tickets SET visible_at = ? WHERE seq = ? AND receives = ?"
        self._database.rows(sql, (self._now() + round(seconds * 1000), *_identity(delivery)))

    def depth(self, pool: str) -> Mapping[Band, Depth]:
        """See `Tickets.depth`."""
        sql = (
            "SELECT band, SUM(visible_at <= ?), SUM(visible_at > ? AND receives > 0), "
            "SUM(visible_at > ? AND receives = 0) FROM tickets WHERE pool = ? GROUP BY band"
        )
        now = self._now()
        found = {_BANDS[band]: Depth(*counts) for band, *counts in self._database.rows(sql, (now, now, now, pool))}
        return {band: found.get(band, Depth(0, 0, 0)) for band in _BANDS}

    def visible(self, pool: str, most: int) -> int:
        """See `Tickets.visible`."""
        sql = "SELECT COUNT(*) FROM (SELECT 1 FROM tickets WHERE pool = ? AND visible_at <= ? LIMIT ?)"
        return int(self._database.rows(sql, (pool, self._now(), most))[0][0])

    def _sweep(self, pool: str, now: Ms) -> None:
        """Drop the pool's tickets that are too old, now and then: where workers take none they would pile up."""
        if now - self._swept.get(pool, 0) < _SWEEP_EVERY_MS:
            return
        self._swept[pool] = now
        self._database.rows("DELETE FROM tickets WHERE pool = ? AND visible_at <= ?", (pool, now - _KEPT_MS))

    def _take(self, pool: str, limit: int) -> list[Delivery]:
        """Tickets of the tenant whose turn it is: the next one by name, after the one that had the last, with any."""
        last = self._turn.get(pool, "")
        for tenant in self._tenants_after(pool, last):
            for band in range(len(_BANDS)):
                if taken := self._take_band(pool, tenant, band, limit):
                    self._turn[pool] = tenant
                    return taken
        return []

    def _tenants_after(self, pool: str, last: str) -> Iterator[str]:
        """Every tenant with tickets once, in a circle: one look into the index for each."""
        for first, end in ((last, None), ("", last)):
            tenant: str | None = first
            while True:
                sql = "SELECT MIN(tenant) FROM tickets WHERE pool = ? AND tenant > ?"
                tenant = self._database.rows(sql, (pool, tenant))[0][0]
                if tenant is None or (end is not None and tenant > end):
                    break
                yield tenant

    def _take_band(self, pool: str, tenant: str, band: int, limit: int) -> list[Delivery]:
        now = self._now()
        visible = "FROM tickets WHERE pool = ? AND tenant = ? AND band = ? AND visible_at <= ?"
        if not self._database.rows(f"SELECT 1 {visible} LIMIT 1", (pool, tenant, band, now)):
            return []
        sql = (
            f"UPDATE tickets SET visible_at = ?, receives = receives + 1 WHERE seq IN "
            f"(SELECT seq {visible} ORDER BY visible_at, seq LIMIT ?) RETURNING seq, receives, body"
        )
        rows = self._database.rows(sql, (now + self._visibility, pool, tenant, band, now, limit))
        source = f"{pool}/{_BANDS[band].value}"
        return [Delivery(body, source, f"{seq}:{receives}", receives) for seq, receives, body in rows]

    def _until_changed(self, pool: str, version: int, end: float) -> bool:
        """Sleep until another connection has written or a ticket becomes visible; False once `end` has passed."""
        sql = "SELECT MIN(visible_at) FROM tickets WHERE pool = ?"
        soonest = self._database.rows(sql, (pool,))[0][0]
        while (now := time.monotonic()) < end:
            pause = _LIVELY_POLL_SECONDS if now < self._lively_until else _POLL_SECONDS
            time.sleep(min(pause, max(0.0, end - now)))
            if self._database.version() != version or (soonest is not None and soonest <= self._now()):
                return True
        return False


def _identity(delivery: Delivery) -> tuple[int, int]:
    seq, _, receives = delivery.receipt.partition(":")
    return int(seq), int(receives)
