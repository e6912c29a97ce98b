"""The meter follows DynamoDB's rules for capacity units."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.cloud.meter import Charge, Index, Item, item_size, read_units, write_charges

KEY = ("pk", "sk")
BOARD = Index("board", ("board", "board_at"), frozenset({"id"}))
WHOLE = Index("whole", ("board",), None)


def item(padding: int = 0, **texts: str) -> Item:
    """An item at one key, with as many bytes more as are asked for."""
    attributes = {"pk": {"S": "p"}, "sk": {"S": "s"}, **{name: {"S": text} for name, text in texts.items()}}
    return {**attributes, "x": {"S": "." * padding}} if padding else attributes


def of_size(size: int) -> Item:
    made = item(size - item_size(item(1)) + 1)
    assert item_size(made) == size
    return made


def units(before: Item | None, after: Item | None, *indexes: Index, **how: Any) -> float:
    return sum(charge.units for charge in write_charges(before, after, indexes, KEY, **how))


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "abc"}, 3),
        ({"S": "grüße 🌊"}, 12),
        ({"N": "0"}, 1),
        ({"N": "7"}, 2),
        ({"N": "-7"}, 3),
        ({"N": "1234"}, 3),
        ({"N": "12.5"}, 3),
        ({"N": "1700000000000"}, 2),
        ({"N": "1700000000123"}, 8),
        ({"N": "1e-7"}, 2),
        ({"BOOL": False}, 1),
        ({"NULL": True}, 1),
        ({"B": b"1234"}, 4),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"N": "7"}]}, 3 + 1 + 2 + 1 + 2),
        ({"M": {"key": {"S": "ab"}}}, 3 + 1 + 3 + 2),
        ({"SS": ["ab", "c"]}, 3),
        ({"NS": ["7", "-7"]}, 5),
    ],
)
def test_a_value_is_as_large_as_documented(value: dict[str, Any], size: int) -> None:
    assert item_size({"name": value}) == len("name") + size


def test_a_kind_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ValueError, match="type XX"):
        item_size({"name": {"XX": "?"}})


@pytest.mark.parametrize(("size", "expected"), [(1, 1), (1024, 1), (1025, 2), (2048, 2), (10_241, 11)])
def test_a_write_costs_a_unit_for_each_kilobyte(size: int, expected: float) -> None:
    after = of_size(max(size, item_size(item(1))))
    assert units(None, after) == expected


def test_the_larger_of_before_and_after_counts() -> None:
    assert units(of_size(3000), of_size(100)) == 3
    assert units(of_size(100), of_size(3000)) == 3
    assert units(of_size(3000), None) == 3


def test_a_refused_write_costs_as_if_it_had_been_made_but_no_index() -> None:
    there = {**of_size(1500), "board": {"S": "b"}, "board_at": {"S": "1"}}
    assert units(there, there, BOARD) == 2
    assert units(there, there, BOARD, tried=of_size(4000)) == 4
    assert units(None, None, BOARD) == 1


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, item(board="b", board_at="1"), 1),
        (item(board="b", board_at="1"), None, 1),
        (item(board="b", board_at="1"), item(), 1),
        (item(), item(board="b", board_at="1"), 1),
        (item(board="b", board_at="1"), item(board="b", board_at="2"), 2),
        (item(board="b", board_at="1"), item(board="c", board_at="1"), 2),
        (item(board="b", board_at="1"), item(board="b", board_at="1", other="x"), 0),
        (item(board="b", board_at="1"), item(board="b", board_at="1", id="x"), 1),
        (item(), item(other="x"), 0),
        (item(board="b"), item(board="b", other="x"), 0),
    ],
    ids=[
        "made",
        "erased",
        "leaves",
        "enters",
        "order",
        "partition",
        "not carried",
        "carried",
        "not in it",
        "half a key",
    ],
)
def test_an_index_is_charged_for_what_changes_in_it(before: Item | None, after: Item | None, expected: float) -> None:
    assert units(before, after, BOARD) - units(before, after) == expected


def test_an_index_that_carries_everything_is_charged_for_every_change() -> None:
    before, after = item(board="b"), item(board="b", other="x")
    assert units(before, after, WHOLE) == 2


def test_an_index_entry_is_as_large_as_what_it_carries() -> None:
    after = {**of_size(3000), "board": {"S": "b"}, "board_at": {"S": "1"}}
    assert units(None, after, BOARD) == 3 + 1
    assert units(None, after, WHOLE) == 3 + 3


def test_a_transaction_counts_twice_indexes_included() -> None:
    after = item(board="b", board_at="1")
    assert units(None, after, BOARD, in_transaction=True) == 2 * units(None, after, BOARD) == 4


def test_charges_name_the_partition_keys_that_take_them() -> None:
    before, after = item(board="b", board_at="1"), item(board="c", board_at="1")
    assert write_charges(before, after, [BOARD], KEY) == [
        Charge(None, "p", 1),
        Charge("board", "b", 1),
        Charge("board", "c", 1),
    ]


@pytest.mark.parametrize(
    ("sizes", "how", "expected"),
    [
        ([100], {"consistent": True, "together": False}, 1),
        ([100], {"consistent": False, "together": False}, 0.5),
        ([4097], {"consistent": True, "together": False}, 2),
        ([100, 100, 0], {"consistent": True, "together": False}, 3),
        ([100, 100, 100], {"consistent": True, "together": True}, 1),
        ([3000, 3000], {"consistent": False, "together": True}, 1),
        ([], {"consistent": True, "together": True}, 1),
        ([], {"consistent": False, "together": False}, 0.5),
        ([100], {"consistent": True, "together": False, "in_transaction": True}, 2),
    ],
)
def test_a_read_costs_a_unit_for_each_four_kilobytes(sizes: list[int], how: dict[str, bool], expected: float) -> None:
    assert read_units(sizes, **how) == expected
