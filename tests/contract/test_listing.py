"""`JobStore.page`: filters, order, limits and cursors."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from support.clock import START_MS, Clock
from support.jobs import make_job
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Job, State
from tidegate.ports import JobQuery, Ports


def listed(ports: Ports, **asked: Any) -> list[str]:
    """The ids on all pages of a listing, in order."""
    query = JobQuery(tenant=asked.pop("tenant", "acme"), **asked)
    found: list[str] = []
    for _ in range(100):
        page = ports.jobs.page(query)
        assert len(page.jobs) <= query.limit
        found += [job.id for job in page.jobs]
        if page.next_cursor is None:
            return found
        query = replace(query, cursor=page.next_cursor)
    raise AssertionError("the listing does not end")


def newest_first(jobs: Sequence[Job]) -> list[str]:
    return [job.id for job in reversed(jobs)]


def filled(ports: Ports, clock: Clock, count: int = 30, **changes: Any) -> list[Job]:
    """So many jobs, a second apart."""
    jobs = []
    for _ in range(count):
        clock.advance(1)
        jobs.append(make_job(clock.new_id(), created_at=clock.now(), **changes))
    ports.jobs.create(jobs)
    return jobs


@pytest.mark.parametrize("limit", [1, 7, 30, 31, 500])
def test_pages_join_to_the_whole_list_newest_first(ports: Ports, clock: Clock, limit: int) -> None:
    jobs = filled(ports, clock)
    assert listed(ports, limit=limit) == newest_first(jobs)


def test_the_last_page_has_no_cursor_and_an_empty_list_is_one_page(ports: Ports, clock: Clock) -> None:
    page = ports.jobs.page(JobQuery(tenant="acme"))
    assert (list(page.jobs), page.next_cursor) == ([], None)
    filled(ports, clock, 3)
    assert ports.jobs.page(JobQuery(tenant="acme", limit=4)).next_cursor is None


def test_a_page_carries_whole_jobs(ports: Ports, clock: Clock) -> None:
    jobs = filled(ports, clock, 2, data={"a": 1}, tags=("x",))
    assert list(ports.jobs.page(JobQuery(tenant="acme")).jobs) == jobs[::-1]


def test_jobs_made_between_two_pages_do_not_shift_them(ports: Ports, clock: Clock) -> None:
    jobs = filled(ports, clock, 10)
    first = ports.jobs.page(JobQuery(tenant="acme", limit=4))
    filled(ports, clock, 5)
    second = ports.jobs.page(JobQuery(tenant="acme", limit=100, cursor=first.next_cursor))
    assert [job.id for job in (*first.jobs, *second.jobs)] == newest_first(jobs)


def test_named_jobs_are_listed_by_creation_too(ports: Ports, clock: Clock) -> None:
    jobs = []
    for number in range(8):
        clock.advance(1)
        name = clock.new_id() if number % 2 else f"order-{9 - number}"
        jobs.append(make_job(name, created_at=clock.now()))
        ports.jobs.create(jobs[-1:])
    assert listed(ports, limit=3) == newest_first(jobs)


def test_a_listing_shows_the_tenants_jobs_alone(ports: Ports, clock: Clock) -> None:
    mine = filled(ports, clock, 3)
    filled(ports, clock, 3, tenant="zeta")
    filled(ports, clock, 3, tenant="acme2")
    assert listed(ports) == newest_first(mine)


FILTERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "queue": ({"queue": "post"}, {"queue": "post"}),
    "name": ({"name": "scan"}, {"name": "scan"}),
    "owner": ({"owner": "bob"}, {"owner": "bob"}),
    "dag": ({"dag_id": "run-1"}, {"dag_id": "run-1"}),
    "tag": ({"tags": ("x", "urgent")}, {"tag": "urgent"}),
    "metadata": ({"metadata": {"a.b": "1", "c": ""}}, {"metadata": {"a.b": "1", "c": ""}}),
    "hostile metadata": ({"metadata": {"x) OR (a = :v0": "' OR 1"}}, {"metadata": {"x) OR (a = :v0": "' OR 1"}}),
    "one state": ({"state": State.ACTIVE}, {"states": frozenset({State.ACTIVE})}),
    "completed": ({"state": State.COMPLETED}, {"states": frozenset({State.COMPLETED, State.FAILED})}),
    "shelved": (
        {"state": State.FAILED, "completed_at": START_MS},
        {"states": frozenset({State.FAILED, State.SKIPPED})},
    ),
    "all at once": (
        {"queue": "post", "name": "scan", "tags": ("t",), "metadata": {"k": "v"}, "state": State.RETRY},
        {
            "queue": "post",
            "name": "scan",
            "owner": "ann",
            "tag": "t",
            "metadata": {"k": "v"},
            "states": frozenset({State.CREATED, State.RETRY}),
        },
    ),
}


@pytest.mark.parametrize(("changes", "asked"), FILTERS.values(), ids=FILTERS.keys())
def test_a_filter_keeps_what_it_names(ports: Ports, clock: Clock, changes: Any, asked: Any) -> None:
    filled(ports, clock, 5)
    wanted = filled(ports, clock, 4, **changes)
    filled(ports, clock, 5, tags=("urgently",), metadata={"a.b": "2"})
    assert listed(ports, limit=3, **asked) == newest_first(wanted)


@pytest.mark.parametrize("state", [State.FAILED, State.EXPIRED, State.CANCELLED, State.SKIPPED])
def test_ended_jobs_are_listed_with_the_other_filters_and_by_pages(ports: Ports, clock: Clock, state: State) -> None:
    jobs = []
    for number in range(9):
        clock.advance(1)
        changes = {"state": state, "completed_at": clock.now(), "queue": "post" if number % 3 else "mail"}
        jobs.append(make_job(clock.new_id(), created_at=clock.now(), **changes))
    ports.jobs.create(jobs)
    states = frozenset({state})
    assert listed(ports, states=states, limit=2) == newest_first(jobs)
    assert listed(ports, states=states, limit=2, queue="post") == newest_first([j for j in jobs if j.queue == "post"])
    assert listed(ports, states=states, tenant="zeta") == []


def test_two_ended_states_are_merged(ports: Ports, clock: Clock) -> None:
    jobs = []
    for number in range(10):
        clock.advance(1)
        state = State.FAILED if number % 2 else State.CANCELLED
        jobs.append(make_job(clock.new_id(), created_at=clock.now(), state=state, completed_at=clock.now()))
    ports.jobs.create(jobs)
    assert listed(ports, states=frozenset({State.FAILED, State.CANCELLED}), limit=3) == newest_first(jobs)


def test_the_time_range_takes_its_start_and_leaves_its_end(ports: Ports, clock: Clock) -> None:
    jobs = filled(ports, clock, 10)
    start, end = jobs[2].created_at, jobs[6].created_at
    assert listed(ports, created_from=start, created_to=end, limit=3) == newest_first(jobs[2:6])
    assert listed(ports, created_from=start) == newest_first(jobs[2:])
    assert listed(ports, created_to=end) == newest_first(jobs[:6])
    assert listed(ports, created_from=end, created_to=start) == []
    assert listed(ports, created_from=end + 10**9, created_to=start) == []
    assert listed(ports, created_from=0, created_to=2**60) == newest_first(jobs)


def _coded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


BAD_CURSORS = [
    "x",
    "....",
    "ünï",
    "",
    "!" * 1000,
    _coded(None),
    _coded([]),
    _coded({}),
    _coded([1, False, "zeta#00"]),
    _coded([1, False, 5]),
    _coded([2, False, "00000000-0000-7000-8000-000000000000"]),
    _coded([1, True, "00000000-0000-7000-8000-000000000000"]),
    _coded(["seq", "1"]),
    _coded(["seq", -1]),
    base64.urlsafe_b64encode(b"[" * 5_000).decode(),
]


@pytest.mark.parametrize("cursor", BAD_CURSORS, ids=range(len(BAD_CURSORS)))
def test_a_cursor_that_no_listing_made_is_refused(ports: Ports, cursor: str) -> None:
    with pytest.raises(InvalidInput):
        ports.jobs.page(JobQuery(tenant="acme", cursor=cursor))


def test_a_cursor_of_another_tenant_shows_none_of_its_jobs(ports: Ports, clock: Clock) -> None:
    mine = filled(ports, clock, 3)
    filled(ports, clock, 6, tenant="zeta")
    cursor = ports.jobs.page(JobQuery(tenant="zeta", limit=2)).next_cursor
    assert cursor is not None
    found = ports.jobs.page(JobQuery(tenant="acme", cursor=cursor)).jobs
    assert {job.id for job in found} <= {job.id for job in mine}
