"""Runs written in Python become the body of `POST /dags`."""

from __future__ import annotations

import pytest

from tidegate import Dag
from tidegate.domain.errors import InvalidInput


def test_a_run_in_python() -> None:
    with Dag("documents", failure_policy="continue") as dag:
        pages = dag.job("split", {"document": "a.pdf"}, priority="high")
        texts = dag.map("extract", over=pages["pages"], timeout=60)
        label = dag.job("classify", after=texts)
        dag.job("book", id="invoice", when=label["label"].equals("invoice"))
        dag.job("clean", after=[texts, label], cleanup=True)
    body = dag.body()
    assert (body["name"], body["failure_policy"]) == ("documents", "continue")
    assert body["nodes"] == [
        {"id": "split", "name": "split", "data": {"document": "a.pdf"}, "priority": "high"},
        {
            "id": "extract",
            "name": "extract",
            "depends_on": ["split"],
            "for_each": "$['split'].result['pages']",
            "timeout": 60,
        },
        {"id": "classify", "name": "classify", "depends_on": ["extract"]},
        {
            "id": "invoice",
            "name": "book",
            "when": {"path": "$['classify'].result['label']", "op": "==", "value": "invoice"},
            "depends_on": ["classify"],
        },
        {"id": "clean", "name": "clean", "depends_on": ["extract", "classify"], "cleanup": True},
    ]


def test_branches_and_switches() -> None:
    dag = Dag("documents")
    label = dag.job("classify")
    dag.switch("route", label["label"], {"invoice": "book", "letter": ["read", "file"]}, default="other")
    read = dag.job("read")
    case = label["score"].test(">", 5)
    dag.branch("check", [(case, read)], match="all", after=read, priority="high")
    assert dag.body()["nodes"][1] == {
        "id": "route",
        "depends_on": ["classify"],
        "switch": {
            "on": "$['classify'].result['label']",
            "cases": {"invoice": ["book"], "letter": ["read", "file"]},
            "default": ["other"],
        },
    }
    assert dag.body()["nodes"][3] == {
        "id": "check",
        "depends_on": ["read", "classify"],
        "branch": {"cases": [{"when": case, "to": ["read"]}], "default": [], "match": "all"},
        "priority": "high",
    }


def test_an_id_is_given_once() -> None:
    dag = Dag("d")
    dag.job("a")
    with pytest.raises(InvalidInput, match="'a' is another node"):
        dag.job("a")


def test_groups_find_the_nodes_they_look_at() -> None:
    dag = Dag("d")
    a, b = dag.job("a"), dag.job("b")
    node = dag.job("c", when={"any": [a["x"].exists(), {"not": b.result.is_empty()}]})
    assert dag.body()["nodes"][-1]["depends_on"] == ["a", "b"]
    assert node.id == "c"
