"""When cron rules match in real time zones: croniter finds the times on the wall, the zone says when those are.

croniter is asked about plain wall-clock times only; what daylight saving does to them is decided here:

- A rule that names hours runs each of its wall-clock times once. Times that do not exist run together at the jump;
  of a time that comes twice the first counts.
- A rule for every hour (`*/5 * * * *`, `0 * * * *`) follows the hours that really pass: it runs in both of two equal
  hours, and not in one that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tidegate.domain.cron import CronRule
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Ms

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_YEARS_AHEAD = 9
"""29 February comes after eight years at the latest (1896 to 1904, 2096 to 2104)."""


class ZonedCron:
    """`Cron` on croniter and the IANA time zones that Python finds."""

    def check_zone(self, timezone: str) -> None:
        """See `Cron.check_zone`."""
        _zone(timezone)

    def next_match(self, rule: CronRule, timezone: str, after: Ms) -> Ms | None:
        """See `Cron.next_match`."""
        zone = _zone(timezone)
        start = _EPOCH + timedelta(milliseconds=after)
        found = (_next_passing if rule.is_hourly else _next_named)(rule.text, zone, start)
        return None if found is None else (found - _EPOCH) // timedelta(milliseconds=1)

    def local(self, timezone: str, at: Ms) -> str:
        """See `Cron.local`."""
        return (_EPOCH + timedelta(milliseconds=at)).astimezone(_zone(timezone)).isoformat(timespec="seconds")


def _next_named(text: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """Each wall-clock time at its first moment, or at the jump over it: moments in the order of the times."""
    upcoming = _walk(text, _wall(after, zone))
    while (wall := upcoming()) is not None:
        moment = _jump_over(wall, zone) or wall.replace(tzinfo=zone).astimezone(UTC)
        if moment > after:
            return moment
    return None


def _next_passing(text: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """Each wall-clock time at all of its moments."""
    before = _wall(after, zone)
    upcoming = _walk(text, before)
    while (wall := upcoming()) is not None and _jump_over(wall, zone) is not None:
        pass
    found = None if wall is None else _first_after(wall, zone, after)
    again = _set_back(after, zone)
    if again is None or (found is not None and found < again):
        return found
    # `after` is in the first of two equal hours, and nothing is left of that one: go on in the second
    wall = _walk(text, _wall(again, zone) - _SECOND)()
    second = None if wall is None else wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return min((each for each in (found, second) if each is not None), default=None)


def _first_after(wall: datetime, zone: ZoneInfo, after: datetime) -> datetime:
    first = wall.replace(tzinfo=zone).astimezone(UTC)
    return first if first > after else wall.replace(tzinfo=zone, fold=1).astimezone(UTC)


def _walk(text: str, wall: datetime) -> Callable[[], datetime | None]:
    """Gives the matching wall-clock times after `wall`, one a call; None once there are none.

    croniter is imported when a cron rule is first met: most invocations meet none.
    """
    from croniter import CroniterBadDateError, croniter  # type: ignore[import-untyped]

    iterator = croniter(text, wall, max_years_between_matches=_YEARS_AHEAD)

    def step() -> datetime | None:
        try:
            found: datetime = iterator.get_next(datetime)
        except CroniterBadDateError:
            return None
        return found

    return step


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _jump_over(wall: datetime, zone: ZoneInfo) -> datetime | None:
    """The moment at which the clock jumps over `wall`; None for a time that exists."""
    late = wall.replace(tzinfo=zone).astimezone(UTC)
    if _wall(late, zone) == wall:
        return None
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _change_between(early, late, zone)


def _set_back(after: datetime, zone: ZoneInfo) -> datetime | None:
    """When the clock is set back, if `after` is in the first of two equal stretches of time."""
    local = after.astimezone(zone)
    first, second = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    if local.fold or first <= second:
        return None
    return _change_between(after, after + (first - second), zone)


def _change_between(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """The first second of the offset that holds at `late`; another holds at `early`."""
    low, high = 0, round((late - early).total_seconds())
    before = early.astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if (early + middle * _SECOND).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return (early + high * _SECOND).replace(microsecond=0)


def _zone(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # no cold start but of who keeps time needs it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput.field("timezone", f"'{name[:64]}' is no IANA time zone, such as Europe/Berlin") from error
