"""The workflows that are measured run to their end, each node once and in order, at a size that takes no time."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.embedded.workflows import SHAPES, layered, measure


def test_every_shape_comes_to_its_end(tmp_path: Path) -> None:
    """`measure` raises for a node that ran twice, never, or before what it depends on."""
    assert [row[0] for row in measure(tmp_path, 301).rows] == list(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_its_size_and_no_edge_that_leads_back(name: str) -> None:
    parents = SHAPES[name](10_000)
    assert len(parents) == 10_000
    assert all(each < node for node, before in parents.items() for each in before)


def test_the_layers_have_two_edges_a_node() -> None:
    assert sum(map(len, layered(10_000).values())) == 20_000
