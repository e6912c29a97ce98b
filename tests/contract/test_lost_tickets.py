"""Tickets that were lost by the hundred: the clock makes up for them within minutes, and sends few too many."""

from __future__ import annotations

from collections.abc import Sequence

from contract.limited import limited
from home import ADMIN, Home
from tidegate.domain.job import Job
from tidegate.domain.spec import JobSpec
from tidegate.service.policies import pause_queue, resume_queue
from tidegate.service.submit import Submitted, submit
from tidegate.service.tick import tick

HEAD = 25
MANY = 60


def submitted(home: Home, count: int, queue: str = "default") -> Sequence[Job]:
    found: list[Job] = []
    for start in range(0, count, 100):
        specs = [JobSpec(name="work", queue=queue) for _ in range(min(100, count - start))]
        found += [each.job for each in submit(home.ports, ADMIN, specs) if isinstance(each, Submitted)]
    assert len(found) == count
    return found


def without_tickets(home: Home) -> None:
    """A minute later all tickets are lost."""
    while deliveries := home.ports.tickets.receive("default", 10, 0):
        home.ports.tickets.finish(deliveries)
    home.clock.advance(61)


def visible(home: Home) -> int:
    return sum(depth.visible for depth in home.ports.tickets.depth("default").values())


def test_all_of_a_big_lane_are_back_after_one_tick(either: Home) -> None:
    jobs = submitted(either, MANY)
    without_tickets(either)
    assert tick(either.ports, 60).reticketed == visible(either) == MANY
    ran: list[str] = []
    either.drain(either.runner(work=lambda job: ran.append(job.id)))
    assert sorted(ran) == sorted(job.id for job in jobs)


def test_where_every_job_has_a_ticket_only_the_head_is_told_again(either: Home) -> None:
    """The workers are behind: tickets by the thousand would help nobody."""
    submitted(either, MANY)
    either.clock.advance(61)
    for number in (1, 2, 3):
        assert tick(either.ports, 60).reticketed == HEAD
        assert visible(either) == MANY + number * HEAD


def test_beyond_the_head_only_what_is_lacking_is_sent(either: Home) -> None:
    submitted(either, MANY)
    lost = 30
    for _ in range(lost // 10):
        either.ports.tickets.finish(either.ports.tickets.receive("default", 10, 0))
    either.clock.advance(61)
    tick(either.ports, 60)
    assert visible(either) == MANY + HEAD


def test_of_two_lanes_both_get_what_one_may_have_lost(either: Home) -> None:
    limited(either, "other")
    submitted(either, MANY, "other")
    without_tickets(either)
    submitted(either, MANY)
    either.clock.advance(61)
    tick(either.ports, 60)
    ran: list[str] = []
    either.drain(either.runner(work=lambda job: ran.append(job.queue)))
    assert sorted(ran) == ["default"] * MANY + ["other"] * MANY
    assert visible(either) == 0


def test_a_paused_queue_is_sent_none_until_it_goes_on(either: Home) -> None:
    limited(either)
    submitted(either, HEAD + 5, "narrow")
    pause_queue(either.ports, ADMIN, "narrow", None)
    without_tickets(either)
    assert tick(either.ports, 60).reticketed == 0
    resume_queue(either.ports, ADMIN, "narrow")
    assert visible(either) == HEAD + 5
    without_tickets(either)
    assert tick(either.ports, 60).reticketed == HEAD + 5


def test_a_limited_queue_is_sent_no_more_than_can_start_within_a_minute(either: Home) -> None:
    limited(either, rate_limit=30, rate_period="minute")
    submitted(either, 40, "narrow")
    without_tickets(either)
    assert tick(either.ports, 60).reticketed == 30
    limited(either, "wide", rate_limit=1, rate_period="second", slots=40)
    submitted(either, 50, "wide")
    without_tickets(either)
    limited(either, rate_limit=1, rate_period="minute")
    assert tick(either.ports, 60).reticketed == 40 + 1
