"""A schedule: when jobs are made by themselves, from what, and what happens when that goes wrong."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from .cron import CronRule, parse_cron
from .errors import InvalidInput
from .job import Ms
from .queue import DAY, check_name
from .spec import JobSpec
from .targets import DagTemplate as DagTemplate
from .targets import JobTemplate as JobTemplate
from .targets import ScheduledRun

KEPT_FIRINGS = 20
SECOND_MS = 1_000
_LONGEST_STEP_MS = round(366 * DAY) * SECOND_MS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPAN = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Misfire(StrEnum):
    """What becomes of times that passed while nothing ticked."""

    SKIP = "skip"
    """Nothing."""
    RUN_ONCE = "run_once"
    """The latest of them runs."""
    RUN_ALL = "run_all"
    """Each of them runs, oldest first."""


class Overlap(StrEnum):
    """What becomes of a time at which the job of the time before has not ended."""

    ALLOW = "allow"
    """It runs beside it."""
    SKIP = "skip"
    """It is passed over."""
    QUEUE_ONE = "queue_one"
    """It waits for the end of the other; times that come meanwhile are passed over."""
    CANCEL_RUNNING = "cancel_running"
    """The other is cancelled, cooperatively where it runs, and this one is released."""


class Fate(StrEnum):
    """What became of one of a schedule's times."""

    FIRED = "fired"
    BACKFILLED = "backfilled"
    """It was run afterwards, by a backfill."""
    MISSED = "missed"
    """Nothing ticked in time, and the misfire policy let it go; stands for all until the next entry."""
    OVERLAPPED = "overlapped"
    HELD = "held"
    """It came while all schedules of the tenant were paused."""
    REFUSED = "refused"
    """Its job was not accepted: see the schedule's `last_error`."""


@dataclass(frozen=True, slots=True)
class Firing:
    """One of a schedule's times and what became of it."""

    at: Ms
    fate: Fate


@dataclass(frozen=True, slots=True)
class EveryRule:
    """At a fixed distance, counted from `starts_at` (which is its first time), else from the creation."""

    step: Ms


@dataclass(frozen=True, slots=True)
class AtRule:
    """Once."""

    at: Ms


Rule = CronRule | EveryRule | AtRule
NextMatch = Callable[[CronRule, str, Ms], Ms | None]
"""The first time after a given one at which a cron rule matches in an IANA zone; None if that never comes."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Runs of past times, made bit by bit."""

    next: Ms
    """The time it comes to next."""
    until: Ms
    """The last time it may make, this one included."""
    per_minute: int
    due: Ms
    """When it goes on."""
    made: int = 0
    requested_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule of one tenant. Times are `Ms`, durations seconds."""

    id: str
    tenant: str
    name: str
    owner: str
    """The user that its jobs belong to."""
    expression: str
    """Five cron fields, `@daily` and the like, `every 1h30m`, or `at 2030-01-31T08:00:00Z`."""
    timezone: str = "UTC"
    job: JobTemplate | None = None
    """What each time makes: a job,"""
    dag: DagTemplate | None = None
    """or a run of a DAG; exactly one of the two is given."""
    enabled: bool = True
    paused_by: str | None = None
    paused_reason: str | None = None
    starts_at: Ms | None = None
    ends_at: Ms | None = None
    jitter_seconds: float = 0.0
    misfire: Misfire = Misfire.RUN_ONCE
    misfire_window_seconds: float = DAY
    """Older missed times are let go, whatever the policy."""
    overlap: Overlap = Overlap.ALLOW
    created_at: Ms
    updated_at: Ms
    # What follows changes as it runs.
    version: int = 1
    """Counts writes: every change is guarded by it."""
    next_run: Ms | None = None
    """The time it comes to next; None when disabled or over."""
    look_at: Ms | None = None
    """When the clock must look at it; None: never."""
    queued: bool = False
    """`next_run` has come and waits for the job before it to end."""
    releasing: tuple[Ms, ...] = ()
    """Times decided on whose jobs may not have been made yet."""
    last_run: Ms | None = None
    last_job_id: str | None = None
    """Of its job, or of its run."""
    last_error: str | None = None
    fired: int = 0
    recent: tuple[Firing, ...] = ()
    """What became of its latest times, oldest first."""
    backfill: Backfill | None = None

    def __post_init__(self) -> None:
        check_name("name", self.name)
        if is_uuid(self.name):
            raise InvalidInput.field("name", "must not look like an id")
        if (self.job is None) == (self.dag is None):
            raise InvalidInput.field("dag", "is needed where there is no job, and has no place beside one")
        parse_rule(self.expression)
        if not 0 <= self.jitter_seconds <= 3600:
            raise InvalidInput.field("jitter_seconds", "must be from 0 to 3600")
        if not 0 <= self.misfire_window_seconds <= 30 * DAY:
            raise InvalidInput.field("misfire_window_seconds", f"must be from 0 to {30 * DAY:g}")
        if self.starts_at is not None and self.ends_at is not None and self.ends_at < self.starts_at:
            raise InvalidInput.field("ends_at", "must not be before starts_at")

    @property
    def makes(self) -> str:
        """The name of its job, or of its DAG."""
        return self.job.name if self.job is not None else self.dag.name if self.dag is not None else ""

    @property
    def rule(self) -> Rule:
        """When it runs."""
        return parse_rule(self.expression)


def is_uuid(text: str) -> bool:
    """Whether `text` has the shape of a UUID: ids have it, and names must not."""
    return _UUID.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Rule:
    """Read an expression. Raises InvalidInput."""
    kind, _, rest = text.partition(" ")
    if kind == "every":
        return EveryRule(parse_span(rest))
    if kind == "at":
        return AtRule(_parse_at(rest))
    return parse_cron(text)


def parse_span(text: str) -> Ms:
    """Milliseconds in `90s`, `5m`, `1h30m` or `1d`. Raises InvalidInput below a second and above 366 days."""
    found = _SPAN.fullmatch(text.replace(" ", ""))
    if found is None or not any(found.groups()):
        raise InvalidInput.field("expression", "an interval reads like 'every 90s', 'every 5m' or 'every 1h30m'")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    step = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * SECOND_MS
    if not SECOND_MS <= step <= _LONGEST_STEP_MS:
        raise InvalidInput.field("expression", "an interval must be from 1s to 366d")
    return step


def _parse_at(text: str) -> Ms:
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        moment = datetime(1, 1, 1)  # noqa: DTZ001 - refused below: it has no zone
    if moment.tzinfo is None or moment < _EPOCH:
        rule = "a time reads like 'at 2030-01-31T08:00:00Z', with an offset"
        raise InvalidInput.field("expression", rule)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def next_time(schedule: Schedule, after: Ms, next_match: NextMatch) -> Ms | None:
    """The first of the schedule's times after `after`, within `starts_at` and `ends_at`; None if there is none."""
    if schedule.starts_at is not None:
        after = max(after, schedule.starts_at - 1)
    rule = schedule.rule
    if isinstance(rule, AtRule):
        found = rule.at if rule.at > after else None
    elif isinstance(rule, EveryRule):
        found = _next_step(schedule, rule.step, after)
    else:
        found = next_match(rule, schedule.timezone, after)
    if found is None or (schedule.ends_at is not None and found > schedule.ends_at):
        return None
    return found


def _next_step(schedule: Schedule, step: Ms, after: Ms) -> Ms:
    if schedule.starts_at is not None:
        first = schedule.starts_at
    else:
        first = -(-schedule.created_at // SECOND_MS) * SECOND_MS + step
    return first if after < first else first + ((after - first) // step + 1) * step


def started(schedule: Schedule, now: Ms, next_match: NextMatch) -> Schedule:
    """The schedule with `next_run` and `look_at` from `now` on; neither when it is disabled."""
    after = max(now, schedule.last_run or 0)
    next_run = next_time(schedule, after, next_match) if schedule.enabled else None
    return watched(replace(schedule, next_run=next_run, queued=False))


def watched(schedule: Schedule, *, undecided_until: Ms | None = None) -> Schedule:
    """The schedule with the `look_at` that its plans ask for.

    About `next_run` nothing can be decided before `undecided_until`.
    """
    run = schedule.next_run if undecided_until is None else undecided_until
    due = [run, schedule.backfill.due if schedule.backfill is not None else None]
    return replace(schedule, look_at=min((at for at in due if at is not None), default=None))


def run_id(schedule_id: str, at: Ms) -> str:
    """The id of the job of one time: always the same, and a UUIDv7 of that time.

    So the job is its own proof that the time was used, listings show it where it belongs, and on DynamoDB it costs
    what a job with an id of the server's costs (another id would need a pointer: 3 more write units, kept for good).
    """
    digest = int.from_bytes(hashlib.sha256(f"{schedule_id}@{at}".encode()).digest()[:10], "big")
    stamped = at << 80 | 0x7 << 76 | (digest >> 62 & 0xFFF) << 64 | 0b10 << 62 | digest & (1 << 62) - 1
    text = f"{stamped:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def backfill_id(schedule_id: str, at: Ms) -> str:
    """The id of the job that a backfill makes for a time: no UUIDv7, so that it is listed when it was made."""
    return f"{schedule_id}.{at}"


def start_of(schedule: Schedule, at: Ms) -> Ms:
    """When the job of a time shall start: the same whenever asked, spread over `jitter_seconds`."""
    spread = round(schedule.jitter_seconds * 1000)
    digest = hashlib.sha256(f"jitter:{schedule.id}@{at}".encode()).digest()
    return at + int.from_bytes(digest[:8], "big") % (spread + 1)


def target_for(
    schedule: Schedule, at: Ms | None, made_id: str | None, start_after: Ms | None
) -> JobSpec | ScheduledRun:
    """The submission for one of the schedule's times; `at` None: for now, by hand."""
    if schedule.dag is not None:
        return _run_for(schedule, schedule.dag, at, made_id, start_after)
    return spec_for(schedule, at, made_id, start_after)


def spec_for(schedule: Schedule, at: Ms | None, job_id: str | None, start_after: Ms | None) -> JobSpec:
    """The job for one of the schedule's times. Raises InvalidInput for a schedule that makes runs."""
    job = schedule.job
    if job is None:
        raise InvalidInput.field("job", "the schedule makes runs")
    begin = start_after if at is None else at
    return replace(
        job.spec(),
        job_id=job_id,
        tags=(*job.tags, f"schedule:{schedule.name}"),
        metadata={**job.metadata, **_origin(schedule, at)},
        start_after=start_after,
        soft_sla=_deadline(begin, job.soft_sla_seconds),
        hard_sla=_deadline(begin, job.hard_sla_seconds),
    )


def _run_for(
    schedule: Schedule, dag: DagTemplate, at: Ms | None, dag_id: str | None, start_after: Ms | None
) -> ScheduledRun:
    begin = start_after if at is None else at
    run = dag.run(start_after)
    spec = replace(
        run.spec,
        dag_id=dag_id,
        tags=(*dag.tags, f"schedule:{schedule.name}"),
        metadata={**dag.metadata, **_origin(schedule, at)},
        soft_sla=_deadline(begin, dag.soft_sla_seconds),
        hard_sla=_deadline(begin, dag.hard_sla_seconds),
    )
    return ScheduledRun(spec, run.conditions)


def _origin(schedule: Schedule, at: Ms | None) -> dict[str, str]:
    """What tells where a job or a run comes from."""
    origin = {"schedule": schedule.name, "schedule_id": schedule.id}
    if at is not None:
        origin["scheduled_for"] = (_EPOCH + timedelta(milliseconds=at)).isoformat().replace("+00:00", "Z")
    return origin


def _deadline(begin: Ms | None, seconds: float | None) -> Ms | None:
    return None if begin is None or seconds is None else begin + round(seconds * 1000)


def with_firings(schedule: Schedule, firings: tuple[Firing, ...]) -> Schedule:
    """The schedule with more of its times on record; the oldest fall out."""
    return replace(schedule, recent=(*schedule.recent, *firings)[-KEPT_FIRINGS:])
