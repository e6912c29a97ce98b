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
