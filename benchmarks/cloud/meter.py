"""What DynamoDB charges for a request: capacity units from item sizes and from what changes in the indexes.

The rules, from DynamoDB's developer guide ("DynamoDB read and write operations", "Item sizes and formats",
"Global secondary indexes: write considerations"):

- A write costs one unit per KB of the larger of the item before and after, rounded up, at least one. A write whose
  condition fails costs the same, by the larger of the item that is there and the one that was to be put.
- Each index is charged for itself: an entry that appears, goes, or changes in a projected attribute is one write; an
  entry whose key changes is two (one deletes the old entry, one puts the new).
- Within a transaction every unit counts twice.
- A read costs one unit per 4 KB, rounded up, at least one; half where it may be stale. A query is charged for the sum
  of what it looked at, a batch for each item by itself.

Emulators answer consumed capacity, but not by these rules, so it is computed here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Item = Mapping[str, Mapping[str, Any]]

WRITE_BYTES = 1024
READ_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index: its key attributes and what it carries besides; None for everything."""

    name: str
    key: tuple[str, ...]
    carries: frozenset[str] | None


class Charge(NamedTuple):
    """Write units on one partition key of a table (`of_index` None) or of one of its indexes."""

    of_index: str | None
    partition: str
    units: float


def item_size(item: Item) -> int:
    """The bytes of an item: the names of its attributes and their values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_size(content)
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + _value_size(each) for each in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(each) for name, each in content.items())
        case "SS":
            return sum(len(each.encode()) for each in content)
        case "NS":
            return sum(_number_size(each) for each in content)
    raise ValueError(f"an attribute of type {kind} cannot be measured")


def _number_size(text: str) -> int:
    """One byte for each two significant digits, one more, and one for a minus; 21 at most."""
    digits = text.lstrip("-").partition("e")[0].replace(".", "").strip("0")
    return min(21, math.ceil(len(digits) / 2) + 1 + text.startswith("-"))


def write_charges(
    before: Item | None,
    after: Item | None,
    indexes: Sequence[Index],
    key: tuple[str, ...],
    *,
    tried: Item | None = None,
    in_transaction: bool = False,
) -> list[Charge]:
    """What a write costs that found `before` and left `after`; a refused one leaves what it found.

    `tried` is what a put would store, which counts when it is refused.
    `key` names the table's key attributes, the partition key first.
    """
    factor = 2.0 if in_transaction else 1.0
    size = max(item_size(item or {}) for item in (before, after, tried))
    present = after or before or tried or {}
    partition = str(next(iter(present.get(key[0], {"S": ""}).values())))
    charges = [Charge(None, partition, factor * _units(size, WRITE_BYTES))]
    if before != after:
        for index in indexes:
            old, new = entry(before, index, key), entry(after, index, key)
            charges += [charge._replace(units=factor * charge.units) for charge in _index_charges(old, new, index)]
    return charges


def entry(item: Item | None, index: Index, key: tuple[str, ...]) -> Item | None:
    """The item's entry in an index; None where it has none, lacking one of the index's keys."""
    if item is None or not all(name in item for name in index.key):
        return None
    if index.carries is None:
        return item
    wanted = {*index.key, *key, *index.carries}
    return {name: value for name, value in item.items() if name in wanted}


def _index_charges(old: Item | None, new: Item | None, index: Index) -> Iterator[Charge]:
    if old == new:
        return
    moved = old is not None and new is not None and any(old[name] != new[name] for name in index.key)
    if moved or old is None or new is None:
        for each in (old, new):
            if each is not None:
                yield Charge(index.name, _partition(each, index), _units(item_size(each), WRITE_BYTES))
        return
    yield Charge(index.name, _partition(new, index), _units(max(item_size(old), item_size(new)), WRITE_BYTES))


def _partition(each: Item, index: Index) -> str:
    return str(next(iter(each[index.key[0]].values())))


def read_units(sizes: Iterable[int], *, consistent: bool, together: bool, in_transaction: bool = False) -> float:
    """What reading items of these sizes costs. `together`: as one query, else each item by itself."""
    found = list(sizes)
    parts = [sum(found)] if together else found or [0]
    factor = 2.0 if in_transaction else 1.0 if consistent else 0.5
    return factor * sum(_units(size, READ_BYTES) for size in parts)


def _units(size: int, step: int) -> int:
    return max(1, math.ceil(size / step))
