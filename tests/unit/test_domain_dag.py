"""DAGs: validation names every fault, joins follow their tables, conditions are data."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.domain.dag.conditions import holds, nodes_in, parse_condition, parse_path
from tidegate.domain.dag.critical import Span, critical_path
from tidegate.domain.dag.joins import End, Pass, Release, Wait, decide
from tidegate.domain.dag.patterns import Pattern
from tidegate.domain.dag.spec import DagSpec, Join, NodeSpec
from tidegate.domain.dag.validate import check_dag, children_of, cycle_in, extent_of, order_of
from tidegate.domain.errors import InvalidInput


def node(node_id: str, *parents: str, **fields: Any) -> NodeSpec:
    return NodeSpec(id=node_id, job={"name": "x"}, depends_on=parents, **fields)


def faults(*nodes: NodeSpec) -> list[str]:
    try:
        check_dag(DagSpec(name="d", nodes=nodes))
    except InvalidInput as error:
        return [f"{fault['field']}: {fault['rule']}" for fault in error.details["errors"]]
    return []


def test_a_sound_dag_has_no_faults() -> None:
    assert faults(node("a"), node("b", "a"), node("c", "a", "b", join=Join.N_OF, join_count=2)) == []


def test_all_faults_are_told_at_once() -> None:
    told = faults(
        node("a", "a"),
        node("b", "nowhere"),
        node("c", "b", "b"),
        node("c"),
        node("bad id"),
        node("d", "b", join=Join.N_OF, join_count=2),
        node("e", "b", join_count=1),
        node("f", join=Join.ANY),
        node("g", "b", when=parse_condition({"path": "$.z.result", "op": "exists"})),
    )
    for expected in (
        "nodes.0.depends_on: 'a' depends on itself",
        "nodes.1.depends_on: there is no node 'nowhere'",
        "nodes.2.depends_on: names a node twice",
        "nodes.2.id: 'c' names 2 nodes",
        "nodes.4.id",
        "nodes.5.join_count: must be from 1 to 1",
        "nodes.6.join_count: belongs to the join n_of",
        "nodes.7.join: needs depends_on",
        "nodes.8.when: 'z' is not among",
    ):
        assert any(fault.startswith(expected) for fault in told), expected


def test_a_cycle_is_named() -> None:
    (fault,) = faults(node("start"), node("a", "start", "c"), node("b", "a"), node("c", "b"), node("end", "c"))
    assert re.search(r"(a → b → c → a|b → c → a → b|c → a → b → c)$", fault)


def test_what_depends_on_a_node_that_is_not_there_is_no_cycle() -> None:
    assert faults(node("a", "nowhere"), node("b", "a")) == ["nodes.0.depends_on: there is no node 'nowhere'"]
    (unknown, cycle) = faults(node("a", "nowhere", "b"), node("b", "a"))
    assert unknown == "nodes.0.depends_on: there is no node 'nowhere'"
    assert "→" in cycle


def test_size_is_bounded() -> None:
    assert faults() == ["nodes: must be 1 to 10000, not 0"]
    assert "nodes: must be 1 to 10000" in faults(*(node(f"n{n}") for n in range(10_001)))[0]


def test_ten_thousand_nodes_are_checked_in_no_time_to_speak_of() -> None:
    """A chain as long as allowed: nothing here is recursive or quadratic."""
    nodes = (node("n0"), *(node(f"n{n}", f"n{n - 1}") for n in range(1, 10_000)))
    assert faults(*nodes) == []
    assert order_of(nodes)[-1] == "n9999"


graphs = st.integers(1, 12).flatmap(
    lambda size: st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=30).map(
        lambda edges: tuple(
            node(str(n), *dict.fromkeys(str(a) for a, b in edges if b == n and a != n)) for n in range(size)
        )
    )
)


@given(graphs)
def test_order_and_cycles_agree_with_each_other(nodes: tuple[NodeSpec, ...]) -> None:
    cycle, order = cycle_in(nodes), order_of(nodes)
    parents = {each.id: set(each.depends_on) for each in nodes}
    if cycle is None:
        assert sorted(order) == sorted(parents)
        assert all(order.index(parent) < order.index(each) for each in order for parent in parents[each])
    else:
        assert cycle[0] == cycle[-1]
        assert all(before in parents[after] for before, after in itertools.pairwise(cycle))
    assert {(p, c) for p, cs in children_of(nodes).items() for c in cs} == {(p, c) for c in parents for p in parents[c]}


D, P, B = End.DONE, End.PASSED, End.BROKEN


@pytest.mark.parametrize(
    ("join", "count", "ends", "decision"),
    [
        (Join.ALL_ACTIVE, None, [], Release()),
        (Join.ALL_ACTIVE, None, [D, D], Release()),
        (Join.ALL_ACTIVE, None, [D, P], Release()),
        (Join.ALL_ACTIVE, None, [P, P], Pass(False, ("0", "1"))),
        (Join.ALL_ACTIVE, None, [D, None], Wait()),
        (Join.ALL_ACTIVE, None, [B, None], Pass(True, ("0",))),
        (Join.ALL_ACTIVE, None, [D, B], Pass(True, ("1",))),
        (Join.ALL_SUCCESS, None, [D, D], Release()),
        (Join.ALL_SUCCESS, None, [D, P], Pass(False, ("1",))),
        (Join.ALL_SUCCESS, None, [D, B], Pass(True, ("1",))),
        (Join.ALL_SUCCESS, None, [D, None], Wait()),
        (Join.ALL_SUCCESS, None, [P, None], Wait()),
        (Join.N_OF, 2, [P, P, None], Wait()),
        (Join.N_OF, 2, [P, B, None], Pass(True, ("1",))),
        (Join.ANY, None, [None, D], Release()),
        (Join.ANY, None, [None, B], Wait()),
        (Join.ANY, None, [P, B], Pass(True, ("1",))),
        (Join.ANY, None, [P, P], Pass(False, ("0", "1"))),
        (Join.N_OF, 2, [D, None, D], Release()),
        (Join.N_OF, 2, [D, None, B], Wait()),
        (Join.N_OF, 2, [D, B, B], Pass(True, ("1", "2"))),
        (Join.ALL_DONE, None, [B, P, D], Release()),
        (Join.ALL_DONE, None, [B, None], Wait()),
    ],
)
def test_joins(join: Join, count: int | None, ends: list[End | None], decision: Any) -> None:
    assert decide(join, count, {str(n): end for n, end in enumerate(ends)}) == decision


@given(
    st.sampled_from(Join), st.integers(1, 4), st.lists(st.sampled_from([D, P, B]), min_size=1, max_size=6), st.data()
)
def test_a_decision_given_early_stands(join: Join, count: int, ends: list[End], data: st.DataObject) -> None:
    """Whatever the parents that were still open do afterwards."""
    hidden = data.draw(st.sets(st.integers(0, len(ends) - 1)))
    early = decide(join, count, {str(n): None if n in hidden else end for n, end in enumerate(ends)})
    final = decide(join, count, {str(n): end for n, end in enumerate(ends)})
    assert not isinstance(final, Wait)
    if isinstance(early, Pass) and isinstance(final, Pass):
        assert early.broken == final.broken
    assert isinstance(early, Wait) or type(early) is type(final)


UPSTREAM = {
    "classify": {
        "state": "COMPLETED",
        "result": {"label": "invoice", "score": 0.9, "tags": ["a", "b"], "n": 3, "ok": True},
    },
    "split": {"state": "SKIPPED", "result": None},
}


@pytest.mark.parametrize(
    ("path", "op", "value", "expected"),
    [
        ("$.classify.result.label", "==", "invoice", True),
        ("$.classify.result.label", "!=", "letter", True),
        ("$.classify.result.n", "==", 3.0, True),
        ("$.classify.result.ok", "==", 1, False),
        ("$.classify.result.score", ">", 0.5, True),
        ("$.classify.result.score", ">", "0.5", False),
        ("$.classify.result.n", ">=", 3, True),
        ("$.classify.result.n", "<", 3, False),
        ("$.classify.result.n", "<=", 3, True),
        ("$.classify.result.label", "in", ["letter", "invoice"], True),
        ("$.classify.result.label", "not_in", ["letter"], True),
        ("$.classify.result.tags", "contains", "b", True),
        ("$.classify.result.label", "contains", "voice", True),
        ("$.classify.result", "contains", "label", True),
        ("$.classify.result.tags[0]", "==", "a", True),
        ("$.classify.result.tags[-1]", "==", "b", True),
        ("$.classify.result.tags[2]", "==", "c", False),
        ("$.classify.result['label']", "matches", "^inv(oice)?$", True),
        ("$.classify.result.nothing", "==", None, False),
        ("$.classify.result.nothing", "!=", 1, True),
        ("$.split.state", "==", "SKIPPED", True),
    ],
)
def test_comparisons(path: str, op: str, value: Any, expected: bool) -> None:
    assert holds(parse_condition({"path": path, "op": op, "value": value}), UPSTREAM) is expected


@pytest.mark.parametrize(
    ("path", "op", "expected"),
    [
        ("$.classify.result.label", "exists", True),
        ("$.classify.result.other", "exists", False),
        ("$.split.result", "is_empty", True),
        ("$.split.result.deeper", "is_empty", True),
        ("$.classify.result.tags", "is_empty", False),
    ],
)
def test_comparisons_with_nothing(path: str, op: str, expected: bool) -> None:
    assert holds(parse_condition({"path": path, "op": op}), UPSTREAM) is expected


def test_groups() -> None:
    invoice = {"path": "$.classify.result.label", "op": "==", "value": "invoice"}
    letter = {**invoice, "value": "letter"}
    assert holds(parse_condition({"all": [invoice, {"not": letter}]}), UPSTREAM)
    assert holds(parse_condition({"any": [letter, invoice]}), UPSTREAM)
    assert not holds(parse_condition({"all": [letter, invoice]}), UPSTREAM)
    assert nodes_in(parse_condition({"any": [letter, {"path": "$.split.state", "op": "exists"}]})) == {
        "classify",
        "split",
    }


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ("yes", "when"),
        ({}, "when"),
        ({"path": "$.a", "op": "~", "value": 1}, "when.op"),
        ({"path": "a.b", "op": "exists"}, "when.path"),
        ({"path": "$[0]", "op": "exists"}, "when.path"),
        ({"path": "$.a; import os", "op": "exists"}, "when.path"),
        ({"path": "$.a", "op": "=="}, "when.value"),
        ({"path": "$.a", "op": "exists", "value": 1}, "when.value"),
        ({"path": "$.a", "op": "in", "value": "abc"}, "when.value"),
        ({"path": "$.a", "op": "matches", "value": "("}, "when.value"),
        ({"all": []}, "when.all"),
        ({"all": [{"path": "$.a", "op": "nope", "value": 0}]}, "when.all.0.op"),
        ({"path": "$.a", "op": "exists", "extra": 1}, "when"),
    ],
)
def test_a_bad_condition_is_named_by_its_place(condition: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_condition(condition)
    assert caught.value.details["errors"][0]["field"] == field


def test_conditions_are_bounded() -> None:
    deep: Any = {"path": "$.a", "op": "exists"}
    for _ in range(20):
        deep = {"not": deep}
    for condition in (deep, {"all": [{"path": "$.a", "op": "exists"}] * 200}):
        with pytest.raises(InvalidInput, match="at most"):
            parse_condition(condition)
    assert parse_path("$.a['b c'][3].d", "p") == ("a", "b c", 3, "d")


patterns = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "\\d", "\\w", "\\.", "x", "[a-c]"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}|{p[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,1}", "{2,}"])).map(
            lambda p: f"({p[0]}){p[1]}"
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=400)
@given(patterns, st.booleans(), st.booleans(), st.text("abcx1. \n", max_size=12))
def test_patterns_mean_what_they_mean_in_python(pattern: str, start: bool, end: bool, text: str) -> None:
    pattern = f"{'^' if start else ''}({pattern}){'$' if end else ''}"
    expected = re.search(pattern.replace("$", r"\Z") if end else pattern, text, re.ASCII) is not None
    assert Pattern(pattern).matches(text) == expected


def test_a_pattern_that_explodes_elsewhere_does_not_here() -> None:
    """With backtracking this test would not end."""
    assert not Pattern("^(a+)+$").matches("a" * 9_000 + "b")
    assert not Pattern("(a|aa)+c").matches("a" * 9_000)


@pytest.mark.parametrize(
    "pattern", ["(", ")", "[a", "a**", "*", "a{2", "a{9,1}", "a{101}", "(?=a)", r"\1", "((a{100}){100})", "a" * 201, 5]
)
def test_what_cannot_be_compiled_is_refused(pattern: Any) -> None:
    with pytest.raises(InvalidInput, match="value"):
        Pattern(pattern)


def test_the_critical_path_leads_back_over_what_was_waited_for_longest() -> None:
    edges = [("a", "c"), ("b", "c"), ("c", "d"), ("a", "d"), ("s", "d"), ("d", "e")]
    spans = {
        "a": Span(0, 10),
        "b": Span(0, 30),
        "c": Span(30, 40),
        "s": Span(None, None),
        "d": Span(40, None),
        "e": Span(None, None),
        "apart": Span(5, 45),
    }
    assert critical_path(spans, edges, now=50) == ("b", "c", "d")
    assert critical_path({**spans, "d": Span(40, 44)}, edges, now=50) == ("apart",)
    assert critical_path(dict.fromkeys(spans, Span(None, None)), edges, now=50) == ()


def test_the_extent_of_a_graph() -> None:
    assert extent_of([node("a"), node("b", "a"), node("c", "a", "b"), node("d")]) == {
        "nodes": 4,
        "edges": 3,
        "depth": 3,
    }
