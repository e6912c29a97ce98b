"""`tidegate top`: what waits, runs and ends, and who works, seen live."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from .output import clean, console, emit, grid, lines_of, say
from .session import Session, with_session

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tidegate.client import Client, Worker

_QUEUES = 12
_WORKERS = 12
_SECONDS_A_MINUTE = 60
_STEPS = 3
"""Points of the timeline, five minutes each, that tell the pace: the one under way among them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The figures of one look. `at` in seconds, of a clock that only goes on."""

    at: float
    status: Mapping[str, Any]
    depth: Mapping[str, Any]
    timeline: Mapping[str, Any]
    queues: list[Mapping[str, Any]]
    workers: tuple[Worker, ...]
    costs: Mapping[str, Any]
    """Of today, in UTC."""

    def told(self) -> dict[str, Any]:
        """As JSON."""
        parts = {"status": self.status, "depth": self.depth, "timeline": self.timeline, "queues": self.queues}
        parts["costs"] = self.costs
        return {**parts, "workers": [worker.raw for worker in self.workers]}


@with_session
def top(
    session: Session,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.5, max=3600)] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, print it, and end.")] = False,
) -> None:
    """Watch queues, workers and rates live, until Ctrl-C.

    Where the output is no terminal it is printed once. NO_COLOR switches colours off.
    """
    with session.patient_client() as client:
        if session.as_json:
            emit(_look(client).told())
        elif once or not console().is_terminal:
            for part in frame(_look(client), None):
                say(part) if isinstance(part, str | Text) else say(*lines_of(part))
        else:
            _live(client, interval)


def frame(seen: Seen, before: Seen | None) -> Iterator[RenderableType]:
    """What is shown of a look; `before` is the last one, from which the rates of this moment come."""
    status, depth, past = seen.status, seen.depth, seen.timeline
    running, slots = status["active_jobs"], status["max_concurrent_jobs"]
    yield Text.assemble(
        ("Running ", "bold"), f"{running}{f' of {slots}' if slots else ''}   ",
        ("Waiting ", "bold"), f"{depth['total']}{_longest(depth['oldest_seconds'])}   ",
        ("Scheduled ", "bold"), f"{status['scheduled_jobs']}   ",
        ("Workers ", "bold"), str(len(seen.workers)),
    )  # fmt: skip
    failed = _rate(seen, before, "failed")
    yield Text.assemble(
        ("Completed ", "bold"), f"{_rate(seen, before, 'completed'):.1f}/min   ",
        ("Failed ", "bold"), (f"{failed:.1f}/min   ", "red" if failed else ""),
        ("Success ", "bold"), _percent(past["success_rate"]),
        ("   Run time ", "bold"), f"{_seconds(past['p50_run_seconds'])}, 99 % {_seconds(past['p99_run_seconds'])}",
    )  # fmt: skip
    bands = "   ".join(f"{clean(band)} {jobs}" for band, jobs in depth["bands"].items())
    yield Text.assemble(bands, ("   Cost today ", "bold"), f"${seen.costs['dollars']:.4f}", *_budgets(seen))
    yield ""
    yield grid(("Queue", "Waiting", "Running", "Failed", "Completed"), _queue_rows(seen))
    yield ""
    yield grid(("Worker", "Kind", "Pool", "Busy", "Runs"), _worker_rows(seen))


def _budgets(seen: Seen) -> Iterator[tuple[str, str]]:
    """How much of each budget is used."""
    for each in seen.costs.get("budgets", ()):
        told = f", {each['dollars'] / each['budget']:.0%} of the {each['period']}'s budget" if each["budget"] else ""
        yield told, "red" if each["reached"] else ""


def _queue_rows(seen: Seen) -> Iterator[tuple[str | Text, ...]]:
    busiest = sorted(seen.queues, key=lambda each: (-each["depth"] - each["running"], each["queue"]))
    for each in busiest[:_QUEUES]:
        failed = each["states"].get("FAILED", 0)
        numbers = (str(each["depth"]), str(each["running"]))
        red = Text(str(failed), style="red" if failed else "")
        yield (each["queue"], *numbers, red, str(each["states"].get("COMPLETED", 0)))


def _worker_rows(seen: Seen) -> Iterator[tuple[str, ...]]:
    busiest = sorted(seen.workers, key=lambda worker: (-worker.busy, worker.id))
    for worker in busiest[:_WORKERS]:
        runs = ", ".join(f"{job.name} {job.job_id[-6:]}" for job in worker.running[:3])
        more = worker.busy - min(3, len(worker.running))
        busy = f"{worker.busy}/{worker.concurrency}"
        yield worker.id, worker.kind, worker.pool, busy, f"{runs or '-'}{f' and {more} more' if more > 0 else ''}"


def _rate(seen: Seen, before: Seen | None, outcome: str) -> float:
    """Jobs a minute: since the last look, or in the last quarter of an hour at the first."""
    if before is None or seen.at <= before.at:
        points = seen.timeline["points"][-_STEPS:]
        minutes = len(points) * seen.timeline["step_seconds"] / _SECONDS_A_MINUTE
        return sum(point[outcome] for point in points) / minutes if minutes else 0.0
    name = f"{outcome}_jobs"
    more = seen.status["metrics"][name] - before.status["metrics"][name]
    return float(max(0, more) * _SECONDS_A_MINUTE / (seen.at - before.at))


def _look(client: Client) -> Seen:
    timeline = client.timeline(1)
    today = timeline["points"][-1]["at"].partition("T")[0]  # by the server's clock
    return Seen(
        time.monotonic(),
        client.pipeline_status(),
        client.depth(),
        timeline,
        list(client.queue_figures()),
        client.workers(),
        client.costs(today, today),
    )


def _live(client: Client, interval: float) -> None:
    from rich.console import Group
    from rich.live import Live

    before: Seen | None = None
    try:
        with Live(console=console(), screen=True, auto_refresh=False) as live:
            while True:
                seen = _look(client)
                live.update(Group(*frame(seen, before)), refresh=True)
                before = seen
                time.sleep(interval)
    except KeyboardInterrupt:
        return


def _longest(seconds: float | None) -> str:
    return "" if seconds is None else f" (longest {_seconds(seconds)})"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} s" if value < _SECONDS_A_MINUTE else f"{value / _SECONDS_A_MINUTE:.0f} min"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} %"
