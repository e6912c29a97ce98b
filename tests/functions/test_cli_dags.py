"""`tidegate dag …` against a home in this process: files, faults, pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Run, command_line

from home import Home
from support.inprocess import client_of
from tidegate.cli import session
from tidegate.client import calls
from tidegate.ports import JobQuery
from tidegate.service.tokens import new_token

YAML = """\
name: invoices
nodes:
  - {id: split, name: work, data: {at: 12:30, on: yes, pages: 3, ratio: .5, sure: true, none: ~}}
  - id: extract
    name: page
    depends_on: [split]
    for_each: $.split.result.pages
  - {id: merge, name: work, depends_on: [extract], when: {path: $.extract.result, op: exists}}
"""
WRONG = """\
name: invoices
nodes:
  - {id: a, name: work, depends_on: [c]}
  - {id: b, name: work, depends_on: [a], priority: 11}
  - {id: c, name: work, depends_on: [b, nowhere]}
  - {id: d, name: work, when: {path: a, op: ==}}
"""


@pytest.fixture
def run(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    token, stored = new_token(home.clock.now(), tenant="main", user="ada", scopes=["submit", "read"])
    home.ports.tokens.put(stored)
    monkeypatch.setattr(session.Session, "client", lambda self, tries=1: client_of(home.app, token))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text(YAML)
    (tmp_path / "wrong.yaml").write_text(WRONG)
    return command_line(capsys, "dag")


def finish(home: Home) -> None:
    """Each handler takes a second."""

    def work(job: Any) -> Any:
        home.clock.advance(1)
        return {"pages": [1, 2]}

    runner = home.runner(work=work, page=work)
    while home.drain(runner) + home.changes():
        continue


def test_a_run_in_yaml_means_what_it_says(run: Run, home: Home) -> None:
    code, out, _ = run("submit", "run.yaml", "--json", "--idempotency-key", "nightly")
    assert code == 0
    made = json.loads(out)
    (job,) = [job for job in home.ports.jobs.page(JobQuery(tenant="main")).jobs if job.node == "split"]
    assert job.data == {"at": "12:30", "on": "yes", "pages": 3, "ratio": 0.5, "sure": True, "none": None}
    assert json.loads(run("submit", "run.yaml", "--json", "--idempotency-key", "nightly")[1])["id"] == made["id"]
    assert json.loads(run("submit", "run.yaml", "--json")[1])["id"] != made["id"]


@pytest.mark.parametrize("where", [[], ["--offline"]])
def test_all_faults_of_a_file_are_told_at_once(run: Run, home: Home, where: list[str]) -> None:
    code, _, err = run("validate", "wrong.yaml", "--json", *where)
    assert code == 2
    told = json.loads(err)["details"]["errors"] if err.lstrip().startswith("{") else err
    for each in ("nodes.1.priority", "nodes.2.depends_on", "nodes.3.when", "a → b → c → a"):
        assert each in json.dumps(told, ensure_ascii=False), (each, told)
    assert home.ports.dags.page("main", frozenset(), 10, None).runs == []


@pytest.mark.parametrize("where", [[], ["--offline"]])
def test_a_sound_file_tells_its_extent(run: Run, home: Home, where: list[str]) -> None:
    assert json.loads(run("validate", "run.yaml", "--json", *where)[1]) == {
        "valid": True, "nodes": 3, "edges": 2, "depth": 3,
    }  # fmt: skip
    assert "3 nodes, 2 dependencies, 3 deep" in run("validate", "run.yaml", *where)[1]
    assert home.ports.dags.page("main", frozenset(), 10, None).runs == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("name: a\nname: b\n", "the key 'name' comes twice"),
        ("name: [", "must be YAML or JSON"),
        ("- a", "must be an object"),
        ("!!python/object/apply:os.system [ls]", "must be YAML or JSON"),
    ],
)
def test_what_is_no_run_is_refused_by_its_name(run: Run, tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    code, _, err = run("submit", "bad.yaml")
    assert code == 2
    assert "bad.yaml" in err
    assert rule in err


def test_json_is_read_strictly(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"name": NaN}')
    assert "NaN" in run("validate", "run.json", "--offline")[2]


def test_the_picture_in_the_terminal(run: Run, home: Home) -> None:
    made = json.loads(run("submit", "run.yaml", "--json")[1])["id"]
    before = run("graph", made)[1].splitlines()
    assert [line.split()[:2] for line in before] == [["·", "split"], ["·", "extract"], ["·", "merge"]]
    finish(home)
    split, extract, merge, path = run("graph", made)[1].splitlines()
    assert split.startswith("✓* split")
    assert "extract ×2" in extract
    assert extract.endswith("← split")
    assert "█" in merge
    assert path == "* critical path, 4.00 s: split → extract → merge"


def test_the_picture_for_other_programs(run: Run, home: Home) -> None:
    made = json.loads(run("submit", "run.yaml", "--json")[1])["id"]
    finish(home)
    assert 'n1["extract ×2<br/>COMPLETED"]' in run("graph", made, "--format", "mermaid")[1]
    assert "n0 ==> n1" in run("graph", made, "--format", "mermaid")[1]
    assert '"extract" -> "merge" [penwidth=3];' in run("graph", made, "--format", "dot")[1]
    assert json.loads(run("graph", made, "--json")[1])["critical_path"] == ["split", "extract", "merge"]


def test_more_runs_are_listed_than_one_answer_has(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MOST_RUNS", 2)
    made = [json.loads(run("submit", "run.yaml", "--json")[1])["id"] for _ in range(5)]
    for limit in (1, 4, 9):
        listed = json.loads(run("list", "--json", "--limit", str(limit))[1])["dags"]
        assert [each["id"] for each in listed] == made[::-1][:limit]
    assert json.loads(run("list", "--json", "--state", "failed")[1])["dags"] == []
