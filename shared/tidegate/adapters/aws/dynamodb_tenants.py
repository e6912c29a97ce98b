"""Limits of tenants in the registry table, and how much of their rate is used up.

item     pk                sk        attributes
limits   {tenant}#tenant   limits    the fields of `Tenant`
bucket   {tenant}#tenant   bucket    full_at, in microseconds since 1970; ttl
"""

from __future__ import annotations

from tidegate.domain.bucket import Bucket
from tidegate.domain.errors import Unavailable
from tidegate.domain.job import Ms
from tidegate.domain.tenant import Tenant
from tidegate.ports import Admitted

from .attributes import Shape
from .expressions import UNUSED, Placeholders
from .keys import Key
from .records import TTL
from .tables import Refused, Table, place

_TENANT: Shape[Tenant] = Shape(Tenant, sparse=True, always=frozenset({"version"}))
_ROUNDS = 20
_KEPT_SECONDS = 3_600


class DynamoTenants:
    """`Tenants` on the registry table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, name: str) -> Tenant | None:
        """See `Tenants.get`."""
        item = self._table.get(_key(name, "limits"))
        return None if item is None else _TENANT.load(item)

    def put_if_unchanged(self, tenant: Tenant, seen: Tenant | None) -> bool:
        """See `Tenants.put_if_unchanged`."""
        marks = Placeholders()
        condition = UNUSED if seen is None else f"{marks.name('version')} = {marks.number(seen.version)}"
        item = {**place(_key(tenant.name, "limits")), **_TENANT.dump(tenant)}
        refused = self._table.put(item, ConditionExpression=condition, **marks.arguments())
        if refused is None:
            return True
        return refused.retried and refused.image is not None and _TENANT.load(refused.image) == tenant

    def admit(self, name: str, bucket: Bucket, wanted: int, now: Ms) -> Admitted:
        """See `Tenants.admit`. A request that is repeated may count twice: never too few.

        Adding to a bucket that is not full needs no reading: many may add at once. One that is full again starts anew.
        """
        full_at, count = now * 1000, min(wanted, bucket.burst)
        for _ in range(_ROUNDS):
            if count <= 0:
                return Admitted(0, full_at)
            answer = (
                self._add(name, bucket, count, now) if full_at > now * 1000 else self._renew(name, bucket, count, now)
            )
            if not isinstance(answer, Refused):
                return Admitted(count, int(answer["full_at"]["N"]))
            full_at = int(((answer.image or {}).get("full_at") or {"N": "0"})["N"])
            count = min(wanted, bucket.room(full_at, now))
        raise Unavailable("too many submit at once")

    def _add(self, name: str, bucket: Bucket, count: int, now: Ms) -> dict[str, dict[str, str]] | Refused:
        marks = Placeholders()
        full_at, more = marks.name("full_at"), count * bucket.each
        most = now * 1000 + bucket.burst * bucket.each - more
        return self._table.update(
            _key(name, "bucket"),
            UpdateExpression=f"ADD {full_at} {marks.number(more)} SET {marks.name(TTL)} = {_kept(marks, bucket, now)}",
            ConditionExpression=f"{full_at} BETWEEN {marks.number(now * 1000)} AND {marks.number(most)}",
            **marks.arguments(),
        )

    def _renew(self, name: str, bucket: Bucket, count: int, now: Ms) -> dict[str, dict[str, str]] | Refused:
        marks = Placeholders()
        full_at, ttl = marks.name("full_at"), marks.name(TTL)
        fresh = marks.number(bucket.after(0, now, count))
        return self._table.update(
            _key(name, "bucket"),
            UpdateExpression=f"SET {full_at} = {fresh}, {ttl} = {_kept(marks, bucket, now)}",
            ConditionExpression=f"attribute_not_exists({full_at}) OR {full_at} <= {marks.number(now * 1000)}",
            **marks.arguments(),
        )


def _kept(marks: Placeholders, bucket: Bucket, now: Ms) -> str:
    """It may be forgotten once it is full again."""
    return marks.number(now // 1000 + bucket.burst * bucket.each // 1_000_000 + _KEPT_SECONDS)


def _key(name: str, part: str) -> Key:
    return f"{name}#tenant", part
