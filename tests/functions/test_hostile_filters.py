"""Filters and cursors as an attacker would write them, in both homes: nothing is injected, nothing of others told."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from matrix import Answer, Asked, ask, bearer

from home import Clock, Home
from support.aws import Cloud
from support.homes import KINDS
from tidegate import runtime
from tidegate.runtime import App
from tidegate.settings import Settings

HOSTILE = (
    "' OR '1'='1", "') OR 1=1 --", '"; DROP TABLE jobs; --', "%", "_", "*", "\\", "#n0", ":v0",
    "#n0 = :v0 OR :v0 = :v0",
    "attribute_exists(pk)", "state", "$.name", "a'||'b", "\x00", "\u202e", "é" * 300, "x" * 3_000,
    "{}", "[]", "null",
    "zeta#jobs", "main#0", "../../etc/passwd", "${jndi:ldap://a}",
)  # fmt: skip
FILTERS = ("queue", "name", "tag", "owner", "dag_id", "metadata.key", "metadata.' OR '1'='1", "metadata.#n0", "cursor")
MINE, THEIRS = {f"mine-{n}" for n in range(5)}, {f"theirs-{n}" for n in range(5)}


@pytest.fixture(params=KINDS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """Two tenants with five jobs each."""
    if request.param == "aws":
        cloud: Cloud = request.getfixturevalue("aws")
        made = Home(App(cloud.reset(), Settings(stage="dev", pools={"default": {}})), cloud.clock)
    else:
        clock = Clock()
        made = Home(runtime.embedded(tmp_path / "home", now=clock.now, rng=random.Random(1)), clock)
    for tenant, ids in (("main", MINE), ("zeta", THEIRS)):
        header = bearer(made, tenant, "ada", "submit")
        jobs = [{"name": "work", "job_id": each, "tags": ["t"], "metadata": {"key": "v"}} for each in sorted(ids)]
        assert (
            ask(made.app, Asked("", "POST", "/jobs/batch", (), json.dumps({"jobs": jobs}).encode()), header).status
            == 200
        )
    yield made
    made.close()


@pytest.fixture
def header(home: Home) -> str:
    return bearer(home, "main", "ada", "read", "operate")


def listed(home: Home, header: str, query: str, path: str = "/jobs") -> Answer:
    return ask(home.app, Asked("", "GET", path, (), b"", query), header)


def ids(answer: Answer) -> set[str]:
    return {job["id"] for job in json.loads(answer.text)["jobs"]}


def test_no_filter_is_taken_for_anything_but_a_value(home: Home, header: str) -> None:
    for name in FILTERS:
        for value in HOSTILE:
            answer = listed(home, header, f"{quote(name)}={quote(value)}")
            assert answer.status in (200, 422), (name, value, answer.text)
            assert answer.status == 422 or ids(answer) == set(), (name, value)
    assert ids(listed(home, header, "tag=t&metadata.key=v")) == MINE


@pytest.mark.parametrize("query", ["sort=name", "sort=created_at%3B--", "order=desc", "order_by=1", "fields=*"])
def test_there_is_no_order_but_the_one(home: Home, header: str, query: str) -> None:
    assert listed(home, header, query).status == 422


def test_a_cursor_that_was_tampered_with_is_refused_or_a_place_among_ones_own_jobs(home: Home, header: str) -> None:
    cursor = json.loads(listed(home, header, "limit=2").text)["next_cursor"]
    foreign = json.loads(listed(home, bearer(home, "zeta", "eve", "read", "operate"), "limit=2").text)["next_cursor"]
    for wrong in [foreign, *tampered(cursor)]:
        answer = listed(home, header, f"cursor={quote(wrong)}")
        assert answer.status == 422 or (answer.status == 200 and ids(answer) <= MINE), (wrong, answer.text)


@pytest.mark.parametrize(
    "wrong",
    ["x", "AAAA", "=", "-1", base64.urlsafe_b64encode(b"-1").decode(), base64.urlsafe_b64encode(b"1 OR 1=1").decode(),
     base64.urlsafe_b64encode(b"9" * 40).decode(), base64.urlsafe_b64encode(b"zeta#0|a").decode(), "a" * 5_000],
)  # fmt: skip
def test_a_cursor_that_no_listing_made_is_refused(home: Home, header: str, wrong: str) -> None:
    for path in ("/jobs", "/dags"):
        answer = listed(home, header, f"cursor={quote(wrong)}", path)
        assert (answer.status, json.loads(answer.text)["details"]["errors"][0]["field"]) == (422, "cursor"), path


def tampered(cursor: str) -> Iterator[str]:
    """The cursor cut, doubled, and with each of its characters changed."""
    yield from (cursor[:-1], cursor[1:], cursor + cursor, cursor.swapcase(), cursor + "A")
    for place in range(len(cursor)):
        yield from (cursor[:place] + other + cursor[place + 1 :] for other in "A0z_" if other != cursor[place])
