"""How jobs and figures look on the screen. The first lines are those of the job queue guide users come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from .output import clean, json_text, moment, say, status_text, table
from .watch import describe

if TYPE_CHECKING:
    from tidegate.client import Attempt, Job, Page, Stats

_WIDTH = 40


def show_job(job: Job) -> None:
    """Everything about one job; times are in UTC."""
    for label, value in _facts(job):
        say(Text.assemble((f"{label}: ", ""), value if isinstance(value, Text) else clean(value)))
    if job.failures:
        say("", "Failures:", *map(failure_line, job.failures))
    say("", "Configuration:", _value(job, "data"))
    if job.result is not None or "result" in job.omitted:
        say("", "Result:", _value(job, "result"))


def failure_line(failure: Attempt) -> str:
    """A failed attempt on one line."""
    when, who = moment(failure.ended_at), f" on {failure.worker_id}" if failure.worker_id else ""
    return clean(f"  attempt {failure.attempt}, {when}{who}: {failure.error_type}: {failure.error_message}")


def show_page(page: Page) -> None:
    """Jobs as a table."""
    headings = ("ID", "Type", "Status", "Priority", "Queue", "Created")
    rows = (
        (job.id, job.name, status_text(job.status), str(job.priority), job.queue, moment(job.created_at))
        for job in page.jobs
    )
    if not page.jobs:
        say("No jobs")
        return
    table(headings, rows)
    if page.next_cursor is not None:
        total = f" of {page.total_count}" if page.total_count is not None else ""
        say(f"The newest {len(page.jobs)}{total}; more with --limit")


def stats_lines(stats: Stats) -> list[str]:
    """The figures; kinds that the guide does not know appear when there are any."""
    names = ["pending", "running", "completed", "failed", "cancelled"]
    names += [name for name in ("skipped", "expired") if getattr(stats, name)]
    figures = [_figure(name.capitalize(), getattr(stats, name)) for name in names]
    return ["Queue Statistics:", "-" * _WIDTH, *figures, "-" * _WIDTH, _figure("Total", stats.total)]


def _value(job: Job, name: str) -> str:
    return "(too large to be shown)" if name in job.omitted else json_text(getattr(job, name))


def _figure(label: str, count: int) -> str:
    return f"{label + ':':<11}{count:>7}"


def _facts(job: Job) -> Iterator[tuple[str, str | Text]]:
    yield "Job ID", job.id
    yield "Type", job.name
    yield "Status", status_text(job.status)
    yield "Priority", str(job.priority)
    yield "Created", moment(job.created_at)
    yield "Started", moment(job.started_at)
    yield "Completed", moment(job.completed_at)
    yield "Worker", job.worker_id or "-"
    yield "Retries", f"{job.retry_count}/{job.retry_limit}"
    yield "Queue", job.queue
    yield "State", job.state
    yield from _optional_facts(job)


def _optional_facts(job: Job) -> Iterator[tuple[str, str]]:
    if job.start_after is not None:
        yield "Start after", moment(job.start_after)
    if job.definition is not None:
        yield "Definition", job.definition
    for label, deadline in (("Soft SLA", job.soft_sla), ("Hard SLA", job.hard_sla)):
        if deadline is not None:
            yield label, moment(deadline)
    if job.sla is not None:
        yield "SLA", job.sla.replace("_", " ")
    if job.tags:
        yield "Tags", ", ".join(job.tags)
    if job.metadata:
        yield "Metadata", ", ".join(f"{key}={value}" for key, value in job.metadata.items())
    if job.progress is not None and not job.ended:
        yield "Progress", describe(job).removeprefix(job.status).strip()
    if job.error_message:
        yield "Error", f"{job.error_type}: {job.error_message}" if job.error_type else job.error_message
