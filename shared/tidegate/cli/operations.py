"""`tidegate purge`, `archive`, `errors`, `retries`, `throughput`, `stuck`, `queues`, `pipeline`, `dead`, `redrive`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import RESTARTABLE, TERMINAL
from tidegate.domain.words import counted

from .output import clean, emit, moment, say, table
from .session import Session, with_session
from .watch import bar

if TYPE_CHECKING:
    from tidegate.client import Client, Maintained

dead_app = typer.Typer(help="Messages that were no tickets, and why.", no_args_is_help=True)

_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BAR = 40
_LETTERS = 100
"""Dead letters of one request."""

States = Annotated[
    list[str] | None,
    typer.Option("--state", "--status", help="completed, failed, … or COMPLETED, …; repeatable. Else all that ended."),
]
QueueName = Annotated[str | None, typer.Option("--queue", help="Jobs of this queue.")]
JobName = Annotated[str | None, typer.Option("--name", "--type", help="Jobs of this name.")]
Tag = Annotated[str | None, typer.Option("--tag", help="Jobs with this tag.")]
OlderThan = Annotated[
    str | None, typer.Option("--older-than", help="Ended so long ago: 90s, 10m, 2h, 7d.", metavar="AGE")
]
All = Annotated[bool, typer.Option("--all", help="Needed when no filter is given.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it; without, only tell what would be done.")]


def _maintenance(operation: str, verb: str, help_text: str) -> Callable[..., None]:
    """The command that does `operation` to the ended jobs its filters select."""

    @with_session
    def command(
        session: Session,
        state: States = None,
        queue: QueueName = None,
        name: JobName = None,
        tag: Tag = None,
        older_than: OlderThan = None,
        everything: All = False,
        yes: Yes = False,
    ) -> None:
        selection = selected(state, queue, name, tag, older_than, everything)
        run(session, operation, selection, yes=yes, verb=verb)

    command.__doc__ = help_text
    return command


purge = _maintenance(
    "purge",
    "purged",
    "Delete ended jobs. A dry run unless --yes; think of 'tidegate backup' or 'tidegate archive' first.",
)
archive = _maintenance(
    "archive",
    "archived",
    "Write ended jobs to the blob store as JSON lines, then delete them. A dry run unless --yes.",
)


@with_session
def errors(
    session: Session,
    top: Annotated[int, typer.Option(help="So many, the most common.", min=1, max=100)] = 5,
    sample: Annotated[int, typer.Option(help="Failed jobs to look at, the newest.", min=1, max=1000)] = 500,
) -> None:
    """The most common error messages of failed jobs; numbers and ids are folded away."""
    with session.client() as client:
        found = client.common_errors(top, sample)
    rows = ((str(each["count"]), each["message"], ", ".join(each["names"]), each["job_id"]) for each in found)
    _shown(session, "errors", found, ("Count", "Message", "Names", "Newest job"), rows)


@with_session
def retries(session: Session) -> None:
    """How often the stored jobs of each name were retried."""
    with session.client() as client:
        found = client.retry_analysis()
    rows = (
        (each["name"], f"{each['avg_retries']:.2f}", str(each["max_retries"]), str(each["total_jobs"]))
        for each in found
    )
    _shown(session, "retries", found, ("Name", "Avg retries", "Max", "Jobs"), rows)


@with_session
def throughput(
    session: Session, hours: Annotated[int, typer.Option(help="So many of the last hours.", min=1, max=720)] = 24
) -> None:
    """What became of jobs in each hour."""
    with session.client() as client:
        found = client.throughput(hours)
    most = max(each["completed_jobs"] for each in found) or 1
    rows = (
        (
            each["hour"][:13].replace("T", " ") + ":00",
            str(each["completed_jobs"]),
            str(each["failed_jobs"]),
            *("-" if each[name] is None else f"{each[name]:g} s" for name in ("p50_run_seconds", "p99_run_seconds")),
            bar_of(each["completed_jobs"], most),
        )
        for each in found
    )
    _shown(session, "throughput", found, ("Hour (UTC)", "Completed", "Failed", "p50", "p99", ""), rows)


@with_session
def depth(session: Session) -> None:
    """How many jobs wait for a worker, by priority, and for how long."""
    with session.client() as client:
        found = client.depth()
    if session.as_json:
        emit(found)
        return
    most = max(found["bands"].values()) or 1
    table(("Priority", "Waiting", ""), ((band, str(n), bar_of(n, most)) for band, n in found["bands"].items()))
    if found["oldest_seconds"] is not None:
        job = found["oldest_job"]
        whose = f": {clean(job['name'])} {clean(job['id'])} in {clean(job['queue'])}" if job else ""
        say(f"Longest {found['oldest_seconds']:.0f} s{whose}")


@with_session
def stuck(
    session: Session,
    older_than: Annotated[str, typer.Option("--older-than", help="Running for so long: 90s, 10m, 2h.")] = "1h",
    reset: Annotated[bool, typer.Option("--reset", help="Let them wait again and lock out who ran them.")] = False,
    yes: Yes = False,
) -> None:
    """Jobs that have been running for too long. --reset is a dry run unless --yes."""
    seconds = age("--older-than", older_than)
    with session.client() as client:
        if reset:
            _told_reset(session, client.reset_stuck(seconds, confirm=yes))
            return
        jobs = client.stuck_jobs(seconds, 200)
    rows = ((job.id, job.name, job.queue, moment(job.started_at), job.worker_id or "-") for job in jobs)
    _shown(session, "jobs", [job.raw for job in jobs], ("ID", "Type", "Queue", "Started", "Worker"), rows)


@with_session
def queues(session: Session) -> None:
    """How many jobs wait, run, and have ended in each queue."""
    with session.client() as client:
        found = client.queue_figures()
    rows = ((each["queue"], *(str(each[name]) for name in ("depth", "running", "ended"))) for each in found)
    _shown(session, "queues", found, ("Queue", "Waiting", "Running", "Ended"), rows)


@with_session
def pipeline(session: Session) -> None:
    """How the pipeline is doing as a whole."""
    with session.client() as client:
        status = client.pipeline_status()
    if session.as_json:
        emit(status)
        return
    flat = {**{name: value for name, value in status.items() if name != "metrics"}, **status["metrics"]}
    for name, value in flat.items():
        say(f"{clean(name) + ':':<22}{clean(value)}")


@dead_app.command("list")
@with_session
def dead_list(
    session: Session, limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=200)] = 50
) -> None:
    """List dead letters with their reasons."""
    with session.client() as client:
        found = client.dead_letters(limit=limit)
    rows = ((each["id"], each["at"], each["source"], each["reason"], each["body"][:80]) for each in found)
    _shown(session, "dead_letters", found, ("ID", "At", "Source", "Reason", "Body"), rows)


@with_session
def redrive(
    session: Session,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID…", help="As 'tidegate dead list' has them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Delete them instead.")] = False,
    yes: Yes = False,
) -> None:
    """Send dead letters on their way again, or --drop them. A dry run unless --yes."""
    if bool(ids) == everything:
        raise InvalidInput.field("ID", "give ids, or --all")
    with session.client() as client, bar() as progress:
        wanted = ids or _all_letters(client)
        task = progress.add_task("Drop" if drop else "Redrive", total=len(wanted), visible=not session.as_json)
        found: list[Any] = []
        for start in range(0, len(wanted), _LETTERS):
            part = wanted[start : start + _LETTERS]
            found += client.redrive(part, drop=drop, confirm=yes)
            progress.advance(task, len(part))
    rows = ((each["id"], each["result"] or ("would be dropped" if drop else "would be redriven")) for each in found)
    _shown(session, "results", found, ("ID", "Result"), rows)


def _all_letters(client: Client) -> list[str]:
    """The ids of all dead letters."""
    ids: list[str] = []
    while page := client.dead_letters(ids[-1] if ids else "", _LETTERS):
        ids += [each["id"] for each in page]
    return ids


def selected(
    state: Sequence[str] | None,
    queue: str | None,
    name: str | None,
    tag: str | None,
    older_than: str | None,
    everything: bool,
) -> dict[str, Any]:
    """What the options of a command on many jobs select."""
    given = {
        "states": list(state) if state else None,
        "queue": queue,
        "name": name,
        "tag": tag,
        "older_than": None if older_than is None else age("--older-than", older_than),
        "all": everything or None,
    }
    return {key: value for key, value in given.items() if value is not None}


def run(session: Session, action: str, selection: Mapping[str, Any], *, yes: bool, verb: str) -> None:
    """Act on many jobs, request by request, with a bar on a terminal."""
    with session.patient_client() as client:
        expected = _expected(client.stats().states, action, selection) if yes and not session.as_json else None
        with bar() as progress:
            task = progress.add_task(action.capitalize(), total=expected, visible=not session.as_json)
            total: Maintained | None = None
            for part in client.maintain(action, confirm=yes, **selection):
                total = part if total is None else total + part
                progress.advance(task, part.matched)
    if total is None:
        return
    if session.as_json:
        emit({"dry_run": total.dry_run, "matched": total.matched, "done": total.done, "archives": total.archives})
    elif total.dry_run:
        say(f"Dry run: {counted(total.matched, 'job')} would be {verb}; --yes does it")
    else:
        say(
            f"✅ {counted(total.done, 'job')} {verb}"
            + (f"; {total.matched - total.done} had changed" if _left(total) else "")
        )
        for key in total.archives:
            say(clean(key))


def age(option: str, text: str) -> float:
    """Seconds in `90`, `90s`, `10m`, `2h` or `7d`. Raises InvalidInput."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise InvalidInput.field(option, f"must be an age such as 90s, 10m, 2h or 7d, not '{text}'")
    return float(found[1]) * _SECONDS[found[2]]


def _left(total: Maintained) -> bool:
    return total.matched > total.done


def _expected(states: Mapping[str, int], action: str, selection: Mapping[str, Any]) -> int | None:
    """How many jobs there are at most, where the counters can tell; else the bar has no end."""
    if set(selection) - {"all"}:
        return None
    return sum(states.get(state, 0) for state in (RESTARTABLE if action == "retry" else TERMINAL))


def bar_of(count: float, most: float) -> str:
    """A bar as long as the count is of the most."""
    return "█" * round(_BAR * count / most)


def _told_reset(session: Session, found: Mapping[str, Any]) -> None:
    if session.as_json:
        emit({name: found[name] for name in ("dry_run", "matched", "done", "job_ids")})
    elif found["dry_run"]:
        say(f"Dry run: {counted(found['matched'], 'job')} would be reset; --yes does it", *map(clean, found["job_ids"]))
    else:
        say(f"✅ {counted(found['done'], 'job')} reset to pending")


def _shown(
    session: Session, key: str, found: Sequence[Any], headings: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    if session.as_json:
        emit({key: list(found)})
    elif not found:
        say("None")
    else:
        table(headings, rows)
