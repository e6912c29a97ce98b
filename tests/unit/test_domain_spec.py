"""What a submission may say, and the job made from it; queues and tickets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain.errors import InvalidInput, PayloadTooLarge
from tidegate.domain.queue import Queue
from tidegate.domain.spec import MAX_DEPTH, JobSpec, check_horizon, dump_json, fingerprint_of, new_job
from tidegate.domain.ticket import Ticket, decode, encode

NOW = 1_800_000_000_000
QUEUE = Queue(tenant="main", name="default", retry_limit=7, timeout=42.0, expire_in_seconds=60)


def made(**fields: Any) -> Any:
    return new_job(JobSpec(name="extract", **fields), QUEUE, job_id="j", owner="me", now=NOW)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "no spaces"}, "name"),
        ({"name": "x", "queue": "#"}, "queue"),
        ({"name": "x", "priority": 11}, "priority"),
        ({"name": "x", "job_id": "no/slash"}, "job_id"),
        ({"name": "x", "job_id": "x" * 129}, "job_id"),
        ({"name": "x", "tags": ("",)}, "tags"),
        ({"name": "x", "tags": ("t",) * 21}, "tags"),
        ({"name": "x", "metadata": {"": "v"}}, "metadata."),
        ({"name": "x", "metadata": {"k": "v" * 257}}, "metadata.k"),
        ({"name": "x", "timeout": 0}, "timeout"),
        ({"name": "x", "timeout": float("nan")}, "timeout"),
        ({"name": "x", "retry_limit": -1}, "retry_limit"),
        ({"name": "x", "retry_delay": float("inf")}, "retry_delay"),
        ({"name": "x", "expire_in_seconds": 0}, "expire_in_seconds"),
        ({"name": "x", "soft_sla": 2, "hard_sla": 1}, "hard_sla"),
    ],
)
def test_a_broken_rule_is_named_with_its_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        JobSpec(**fields)
    assert caught.value.details["errors"][0]["field"] == field


def test_the_queue_speaks_where_the_job_is_silent() -> None:
    job = made()
    assert (job.retry_limit, job.timeout, job.attempts_allowed) == (7, 42.0, 8)
    assert job.expires_at == NOW + 60_000


def test_zero_is_a_value_not_an_absence() -> None:
    job = made(retry_limit=0, retry_delay=0, priority=0)
    assert (job.retry_limit, job.retry_delay, job.attempts_allowed, job.priority) == (0, 0, 1, 0)


def test_a_job_waits_only_for_the_future() -> None:
    assert made(start_after=NOW - 1).wake_at is None
    later = made(start_after=NOW + 5_000)
    assert later.wake_at == NOW + 5_000
    assert later.expires_at == NOW + 65_000


def test_thirty_days_ahead_is_accepted_and_two_years_are_not() -> None:
    check_horizon(JobSpec(name="x", start_after=NOW + 30 * 86_400_000), NOW)
    with pytest.raises(InvalidInput, match="start_after"):
        check_horizon(JobSpec(name="x", start_after=NOW + 731 * 86_400_000), NOW)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), {"k": b"bytes"}, "\ud800"])
def test_what_json_cannot_carry_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="data"):
        dump_json("data", value)


def test_size_and_depth_are_bounded() -> None:
    with pytest.raises(PayloadTooLarge):
        dump_json("data", "x" * 6_000_000)
    deep: Any = []
    for _ in range(MAX_DEPTH):
        deep = [deep]
    with pytest.raises(InvalidInput, match="nest"):
        dump_json("data", deep)
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInput):
        dump_json("data", deep)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_json_comes_back_as_it_went(value: Any) -> None:
    assert json.loads(dump_json("data", value)) == value


@given(json_values, st.integers(0, 10))
def test_equal_requests_have_equal_fingerprints(data: Any, priority: int) -> None:
    first = JobSpec(name="x", data=data, priority=priority, job_id="a")
    second = JobSpec(name="x", data=data, priority=priority, job_id="b")
    assert fingerprint_of(first) == fingerprint_of(second)
    assert fingerprint_of(first) != fingerprint_of(JobSpec(name="y", data=data, priority=priority))


texts = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)


@given(texts, texts, texts, texts, st.integers(0, 10), st.integers(0, 2**62))
def test_tickets_come_back_as_they_went(a: str, b: str, c: str, d: str, priority: int, rank: int) -> None:
    ticket = Ticket(a, b, c, d, priority, rank)
    assert decode(encode(ticket)) == ticket


@pytest.mark.parametrize(
    "body",
    ["", "{}", "[]", "null", "hello", '[1,"t","q"]', '[2,"t","q","j","p",5,1]', '[1,"","q","j","p",5,1]', "9" * 5_000],
)
def test_nonsense_is_not_a_ticket(body: str) -> None:
    with pytest.raises(InvalidInput):
        decode(body)


@pytest.mark.parametrize(
    "settings", [{"name": "a b"}, {"pool": ""}, {"retry_limit": 1001}, {"timeout": 0}, {"keep_seconds": -1}]
)
def test_queues_check_themselves(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Queue(**{"tenant": "main", "name": "q", **settings})
