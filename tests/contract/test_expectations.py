"""How long jobs of a name are expected to take: what they took lately, at no write beyond what is counted anyway."""

from __future__ import annotations

from support.clock import Clock
from tidegate.domain.change import Change
from tidegate.domain.job import Ms, State
from tidegate.ports import Ports
from tidegate.service.expectations import ENOUGH, WEEKS, Expectations
from tidegate.service.record_changes import additions_of, record_changes

WEEK_SECONDS = 7 * 86_400


def done(at: Ms, ms: int, number: int = 0) -> Change:
    """A job that took so long."""
    return Change(
        tenant="acme",
        job_id=f"j{number}",
        name="extract",
        queue="default",
        old_state=State.ACTIVE,
        state=State.COMPLETED,
        attempt=1,
        started_at=at - ms,
        at=at,
    )


def complete(ports: Ports, count: int, ms: int) -> None:
    """So many jobs end now, each after so many milliseconds."""
    now = ports.now()
    record_changes(ports, f"{now}-{ms}", [done(now, ms, number) for number in range(count)])


def expected(ports: Ports) -> int:
    return Expectations(ports).of("acme", "extract")


def is_about(ms: int, found: int) -> bool:
    """A fifth is what the histogram may be off."""
    return ms <= found <= ms * 1.2


def test_a_new_pace_is_known_within_a_week(ports: Ports, clock: Clock) -> None:
    complete(ports, 10 * ENOUGH, 60_000)
    assert is_about(60_000, expected(ports))
    clock.advance(WEEK_SECONDS)
    complete(ports, ENOUGH - 1, 1_000)
    assert is_about(60_000, expected(ports)), "too few to forget the others"
    complete(ports, 1, 1_001)
    assert is_about(1_001, expected(ports))


def test_what_seldom_runs_is_remembered_for_a_quarter(ports: Ports, clock: Clock) -> None:
    complete(ports, 1, 5_000)
    clock.advance((WEEKS - 2) * WEEK_SECONDS)
    complete(ports, 1, 2_000)
    assert is_about(5_000, expected(ports))
    clock.advance(2 * WEEK_SECONDS)
    assert is_about(2_000, expected(ports))
    clock.advance(WEEKS * WEEK_SECONDS)
    assert expected(ports) == 0


def test_names_do_not_mix(ports: Ports) -> None:
    complete(ports, 1, 5_000)
    assert Expectations(ports).of("acme", "extract.2") == Expectations(ports).of("zeta", "extract") == 0


def test_it_is_one_series_of_a_batch(clock: Clock) -> None:
    """As it was when it remembered everything: what completed of a name is added to one item."""
    changes = [done(clock.now(), 1_000 * number, number) for number in range(1, 50)]
    assert sum("extract" in each.series for each in additions_of(changes)) == 1
