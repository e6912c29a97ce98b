"""What clients can do with schedules: the requests as values, and the methods of both clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json

from .builder import Dag
from .calls import Call
from .fields import time_text, to_json
from .ids import new_id
from .models import DagRun, Job
from .schedule_models import NextRun, Schedule, SchedulePage, ScheduleRun, next_runs_in
from .sender import AsyncSender, Sender

_PAGE = 200


def create(name: str, job_type: str | None, config: Json, fields: Mapping[str, Any]) -> Call[Schedule]:
    """Make a schedule, under an id made here unless the caller has one: repeating it makes no second one."""
    body = {"name": name, "job_type": job_type, "config": config, **fields}
    if isinstance(dag := fields.get("dag"), Dag):
        body["dag"] = dag.body()
    given = {key: time_text(key, value) for key, value in body.items() if value is not None}
    given.setdefault("schedule_id", new_id())
    return Call("POST", "/schedules", _created, body=to_json(given, "the schedule"))


def page(enabled_only: bool, limit: int, cursor: str | None) -> Call[SchedulePage]:
    """A page of schedules, by name."""
    params = [("limit", str(limit)), *([("enabled_only", "true")] if enabled_only else [])]
    return Call("GET", "/schedules", SchedulePage.from_wire, params=[*params, ("cursor", cursor)] if cursor else params)


def get(ref: str) -> Call[Schedule]:
    """One schedule."""
    return Call("GET", _path(ref), _schedule)


def patch(ref: str, changes: Mapping[str, Any]) -> Call[Schedule]:
    """Change a schedule."""
    body = {key: time_text(key, value) for key, value in changes.items()}
    return Call("PATCH", _path(ref), _schedule, body=to_json(body, "the schedule"))


def enable(ref: str) -> Call[Schedule]:
    """Let it run again."""
    return Call("POST", _path(ref, "enable"), _schedule, body=b"{}")


def disable(ref: str, reason: str | None) -> Call[Schedule]:
    """Make no more jobs."""
    return Call("POST", _path(ref, "disable"), _schedule, body=to_json({"reason": reason} if reason else {}))


def trigger(ref: str) -> Call[Job | DagRun]:
    """Run it now, under an id made here: repeating it makes no second job or run."""
    body = to_json({"job_id": new_id()})
    return Call("POST", _path(ref, "trigger"), _made, body=body)


def _made(wire: Mapping[str, Any]) -> Job | DagRun:
    return Job.from_wire(wire["job"]) if wire.get("job") is not None else DagRun.from_wire(wire["dag"])


def backfill(ref: str, first: datetime | str, until: datetime | str, per_minute: int) -> Call[int]:
    """Run past times. Twice would be refused, so it is not repeated blindly."""
    body = {"from": time_text("first", first), "until": time_text("until", until), "per_minute": per_minute}
    return Call("POST", _path(ref, "backfill"), lambda wire: int(wire["runs"]), body=to_json(body), repeatable=False)


def next_runs(ref: str, count: int) -> Call[tuple[NextRun, ...]]:
    """Times to come."""
    return Call("GET", _path(ref, "next"), next_runs_in, params=[("n", str(count))])


def history(ref: str) -> Call[tuple[ScheduleRun, ...]]:
    """The latest times."""
    path = _path(ref, "history")
    return Call("GET", path, lambda wire: tuple(ScheduleRun.from_wire(each) for each in wire["runs"]))


def delete(ref: str) -> Call[str]:
    """Delete a schedule; answers its id."""
    return Call("DELETE", _path(ref), lambda wire: str(wire["schedule_id"]), repeatable=False)


def pause_all(reason: str | None) -> Call[None]:
    """Pause all schedules."""
    return Call("POST", "/schedules/pause", lambda _: None, body=to_json({"reason": reason} if reason else {}))


def resume_all() -> Call[None]:
    """Let all schedules run again."""
    return Call("POST", "/schedules/resume", lambda _: None, body=b"{}")


class ScheduleMethods(Sender):
    """The methods of `Client` about schedules. A schedule is named by its name or its id."""

    def create_schedule(
        self, name: str, expression: str | None = None, job_type: str | None = None, config: Json = None, **fields: Any
    ) -> Schedule:
        """Make a schedule. `fields` are those of the HTTP API: `job`, `dag`, `every`, `at`, `timezone`, `overlap`, …

        `dag` may be a `Dag` too.

        Raises InvalidInput, Conflict when the name is taken.
        """
        return self._run(create(name, job_type, config, {"expression": expression, **fields}))

    def schedules(self, *, enabled_only: bool = False) -> Iterator[Schedule]:
        """All schedules by name, fetched page by page."""
        cursor = None
        while True:
            found = self.schedule_page(enabled_only=enabled_only, limit=_PAGE, cursor=cursor)
            yield from found.schedules
            if (cursor := found.next_cursor) is None:
                return

    def schedule_page(self, *, enabled_only: bool = False, limit: int = 100, cursor: str | None = None) -> SchedulePage:
        """One page of 1 to 200 schedules, with the cursor of the next."""
        return self._run(page(enabled_only, limit, cursor))

    def schedule(self, ref: str) -> Schedule:
        """One schedule. Raises NotFound."""
        return self._run(get(ref))

    def patch_schedule(self, ref: str, **changes: Any) -> Schedule:
        """Change the given fields. Raises NotFound, InvalidInput."""
        return self._run(patch(ref, changes))

    def enable_schedule(self, ref: str) -> Schedule:
        """Let it run again, from now on. Raises NotFound."""
        return self._run(enable(ref))

    def disable_schedule(self, ref: str, reason: str | None = None) -> Schedule:
        """Make no more jobs. Raises NotFound."""
        return self._run(disable(ref, reason))

    def trigger_schedule(self, ref: str) -> Job | DagRun:
        """Run it once now; answers its job or its run. Raises NotFound."""
        return self._run(trigger(ref))

    def backfill_schedule(self, ref: str, first: datetime | str, until: datetime | str, *, per_minute: int = 60) -> int:
        """Run its past times from `first` to `until`; answers how many there are. Raises NotFound, Conflict."""
        return self._run(backfill(ref, first, until, per_minute))

    def next_runs(self, ref: str, count: int = 5) -> tuple[NextRun, ...]:
        """Its times to come. Raises NotFound."""
        return self._run(next_runs(ref, count))

    def schedule_history(self, ref: str) -> tuple[ScheduleRun, ...]:
        """What became of its latest times, newest first. Raises NotFound."""
        return self._run(history(ref))

    def delete_schedule(self, ref: str) -> str:
        """Delete it; its jobs stay. Answers its id. Raises NotFound."""
        return self._run(delete(ref))

    def pause_schedules(self, reason: str | None = None) -> None:
        """Pause all schedules, for maintenance: times that come are let go."""
        self._run(pause_all(reason))

    def resume_schedules(self) -> None:
        """End the pause of all schedules."""
        self._run(resume_all())


class AsyncScheduleMethods(AsyncSender):
    """The methods of `ScheduleMethods`, awaited."""

    async def create_schedule(
        self, name: str, expression: str | None = None, job_type: str | None = None, config: Json = None, **fields: Any
    ) -> Schedule:
        """See `ScheduleMethods.create_schedule`."""
        return await self._run(create(name, job_type, config, {"expression": expression, **fields}))

    async def schedules(self, *, enabled_only: bool = False) -> AsyncIterator[Schedule]:
        """See `ScheduleMethods.schedules`."""
        cursor = None
        while True:
            found = await self.schedule_page(enabled_only=enabled_only, limit=_PAGE, cursor=cursor)
            for schedule in found.schedules:
                yield schedule
            if (cursor := found.next_cursor) is None:
                return

    async def schedule_page(
        self, *, enabled_only: bool = False, limit: int = 100, cursor: str | None = None
    ) -> SchedulePage:
        """See `ScheduleMethods.schedule_page`."""
        return await self._run(page(enabled_only, limit, cursor))

    async def schedule(self, ref: str) -> Schedule:
        """See `ScheduleMethods.schedule`."""
        return await self._run(get(ref))

    async def patch_schedule(self, ref: str, **changes: Any) -> Schedule:
        """See `ScheduleMethods.patch_schedule`."""
        return await self._run(patch(ref, changes))

    async def enable_schedule(self, ref: str) -> Schedule:
        """See `ScheduleMethods.enable_schedule`."""
        return await self._run(enable(ref))

    async def disable_schedule(self, ref: str, reason: str | None = None) -> Schedule:
        """See `ScheduleMethods.disable_schedule`."""
        return await self._run(disable(ref, reason))

    async def trigger_schedule(self, ref: str) -> Job | DagRun:
        """See `ScheduleMethods.trigger_schedule`."""
        return await self._run(trigger(ref))

    async def backfill_schedule(
        self, ref: str, first: datetime | str, until: datetime | str, *, per_minute: int = 60
    ) -> int:
        """See `ScheduleMethods.backfill_schedule`."""
        return await self._run(backfill(ref, first, until, per_minute))

    async def next_runs(self, ref: str, count: int = 5) -> tuple[NextRun, ...]:
        """See `ScheduleMethods.next_runs`."""
        return await self._run(next_runs(ref, count))

    async def schedule_history(self, ref: str) -> tuple[ScheduleRun, ...]:
        """See `ScheduleMethods.schedule_history`."""
        return await self._run(history(ref))

    async def delete_schedule(self, ref: str) -> str:
        """See `ScheduleMethods.delete_schedule`."""
        return await self._run(delete(ref))

    async def pause_schedules(self, reason: str | None = None) -> None:
        """See `ScheduleMethods.pause_schedules`."""
        await self._run(pause_all(reason))

    async def resume_schedules(self) -> None:
        """See `ScheduleMethods.resume_schedules`."""
        await self._run(resume_all())


def _path(ref: str, *rest: str) -> str:
    if not ref or ref in (".", ".."):
        raise InvalidInput.field("schedule", f"'{ref}' is neither a name nor an id")
    return "/".join(("/schedules", quote(ref, safe=""), *rest))


def _schedule(wire: Mapping[str, Any]) -> Schedule:
    return Schedule.from_wire(wire["schedule"])


def _created(wire: Mapping[str, Any]) -> Schedule:
    return Schedule.from_wire(wire["schedule"], next_runs_in(wire))
