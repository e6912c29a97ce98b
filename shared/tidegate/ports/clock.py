"""What the clock goes by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .jobs import JobKey, JobQuery

if TYPE_CHECKING:
    from tidegate.domain.cron import CronRule
    from tidegate.domain.job import Job, Ms
    from tidegate.domain.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Timer:
    """A note to look at a job at a time: at the lease of an attempt, or at its deadlines."""

    at: Ms
    tenant: str
    job_id: str
    attempt: int
    """The attempt whose lease it is about; `DEADLINES`: the job as a whole, as long as it is open."""


DEADLINES = 0
"""No attempt has this number."""


class Timers(Protocol):
    """Notes for the clock, kept by the change feed: when a lease might have lapsed, or a deadline be missed."""

    def set(self, timers: Sequence[Timer]) -> None:
        """Remember each; the same timer twice is one."""

    def due(self, by: Ms, limit: int) -> Sequence[Timer]:
        """Timers whose time is not after `by`, soonest first."""

    def clear(self, timers: Sequence[Timer]) -> None:
        """Forget each."""


class ScheduleKey(NamedTuple):
    """What names a schedule in the whole deployment."""

    tenant: str
    name: str


@dataclass(frozen=True, slots=True)
class Hold:
    """All schedules of a tenant are paused: who did it, when and why."""

    by: str
    at: Ms
    reason: str | None = None


class Schedules(Protocol):
    """Schedules, and the index of those that the clock must look at."""

    def create(self, schedule: Schedule) -> bool:
        """Store a new schedule. Guard: the tenant has none of that name. Answers whether it was stored."""

    def get(self, keys: Sequence[ScheduleKey]) -> Sequence[Schedule | None]:
        """The schedules as last written, in the order asked for; None where there is none."""

    def name_of(self, tenant: str, schedule_id: str) -> str | None:
        """The name of the tenant's schedule with that id."""

    def list(self, tenant: str, after: str, limit: int) -> Sequence[Schedule]:
        """Schedules of the tenant by name, from the first name after `after` ("" comes before all)."""

    def replace_if_unchanged(self, changes: Sequence[tuple[Schedule, Schedule]]) -> Sequence[bool]:
        """Store each (new, seen), each for itself; name and id stay the same.

        Guard: the stored version is that of `seen`; the new one is one higher. Answers which were stored.
        """

    def delete_if_unchanged(self, seen: Schedule) -> bool:
        """Delete a schedule. Guard: the stored version is that of `seen`. Answers whether it was deleted."""

    def due(self, by: Ms, limit: int) -> Sequence[ScheduleKey]:
        """Schedules whose `look_at` is not after `by`, soonest first. Costs nothing for those that are not due."""

    def hold_of(self, tenant: str) -> Hold | None:
        """The pause of all the tenant's schedules, if there is one."""

    def set_hold(self, tenant: str, hold: Hold | None) -> None:
        """Pause all schedules of the tenant, or end the pause."""


class Cron(Protocol):
    """When cron rules match on the clocks of real places."""

    def check_zone(self, timezone: str) -> None:
        """Raises InvalidInput unless it is an IANA time zone."""

    def next_match(self, rule: CronRule, timezone: str, after: Ms) -> Ms | None:
        """The first time after `after` at which the rule matches; None if that is more than nine years away.

        A rule that names hours runs each wall-clock time once: one that does not exist at the jump, one that
        comes twice the first time. A rule for every hour follows the hours that really pass.
        """

    def local(self, timezone: str, at: Ms) -> str:
        """The time on the clocks of a zone, as RFC 3339 with its offset."""


class Upkeep(Protocol):
    """What maintenance asks of the jobs beyond `JobStore`."""

    def count(self, query: JobQuery) -> int | None:
        """How many jobs fit the query in all its pages; None where only reading them all could tell."""

    def erase_unchanged(self, jobs: Sequence[Job]) -> Sequence[bool]:
        """Delete each job. Guard, each for itself: it has ended, and is as it was read (`attempt`, `updated_at`).

        Answers which were deleted. Large values are left to `forget` and the change feed.
        """

    def outlived(self, by: Ms, limit: int) -> Sequence[Job]:
        """Up to `limit` ended jobs whose `keep_until` is not after `by`; asked again and again, all of them."""

    def running(self, tenant: str, started_before: Ms, limit: int) -> Sequence[Job]:
        """ACTIVE jobs whose current attempt started before a time, the longest running first."""

    def forget(self, keys: Sequence[JobKey]) -> None:
        """Take away what deleted jobs left behind in the store. Guard: no job has the id again."""

    def walk(self, after: str | None, limit: int) -> tuple[Sequence[Job], str | None]:
        """Every stored job of every tenant, part by part, outlived ones too; the text to go on after, None at the end.

        A part may be empty before the end. Jobs made meanwhile may be left out. Raises InvalidInput for another's text.
        """
