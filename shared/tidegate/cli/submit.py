"""`tidegate submit`: one job, or the jobs of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.domain.errors import InvalidInput

from . import inputs
from .exits import REFUSED, job_exit_code
from .output import clean, complain, emit, say
from .session import Session, with_session
from .show import show_job
from .watch import bar, follow

if TYPE_CHECKING:
    from tidegate.client import Batch


@with_session
def submit(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="What to run: the name of a handler.", show_default=False)] = None,
    type_: Annotated[str | None, typer.Option("--type", help="The same as NAME.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", "--config", help="JSON, FILE, @FILE, or - for stdin.", metavar="JSON|FILE")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="Queue; 'default' if not given.")] = None,
    priority: Annotated[str | None, typer.Option(help="0 to 10, or low, normal, high, critical.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be repeated.")] = None,
    meta: Annotated[
        list[str] | None,
        typer.Option("--meta", "--metadata", help="Metadata; may be repeated.", metavar="KEY=VALUE"),
    ] = None,
    start_after: Annotated[
        str | None, typer.Option(help="Not before: 2030-01-31T08:00:00Z, or from now: 90s, 10m, 2h, 1d.")
    ] = None,
    soft_sla: Annotated[str | None, typer.Option(help="Target: a time, or from now, as --start-after.")] = None,
    hard_sla: Annotated[str | None, typer.Option(help="Limit: likewise; a miss is as the queue says.")] = None,
    expire_in: Annotated[float | None, typer.Option(help="Seconds within which it must start, or it expires.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that an attempt may take.")] = None,
    retry_limit: Annotated[
        int | None, typer.Option("--retry-limit", "--max-retries", help="Retries after the first attempt.")
    ] = None,
    job_id: Annotated[str | None, typer.Option(help="The job's id; asking twice makes one job.")] = None,
    definition: Annotated[
        str | None, typer.Option(help="Make it from this definition: its name, or name@version.")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(help="An https address that is told how the job ended.", metavar="URL")
    ] = None,
    concurrency_key: Annotated[
        str | None, typer.Option(help="Of one key, only as many jobs run at once as the queue's key_slots.")
    ] = None,
    unique_key: Annotated[str | None, typer.Option(help="What makes it the same as another job of the queue.")] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="If it is: REJECT_DUPLICATE (default), ALLOW_DUPLICATE, REPLACE, REJECT_ALL or ALLOW_ALL."),
    ] = None,
    task_token: Annotated[
        str | None, typer.Option(help="Of the Step Functions task that waits for the job's end.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other field: retry_delay=5, keep_until=2030-01-31T08:00:00Z.", metavar="KEY=VALUE"
        ),
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(help="Submit each line of a JSON-lines file (- for stdin); options are defaults.", metavar="FILE"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and submit nothing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "--wait", help="Stay until the job has ended.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the id alone.")] = False,
) -> None:
    """Submit a job, or many with --batch."""
    if name is not None and type_ is not None and name != type_:
        raise InvalidInput.field("--type", f"says '{type_}', but NAME is '{name}'")
    now = datetime.now(UTC)
    fields = {
        "name": name or type_,
        "data": None if data is None else inputs.json_argument("--data", data),
        "queue": queue,
        "priority": inputs.number_or_name(priority),
        "tags": tag or None,
        "metadata": inputs.pairs("--meta", meta) if meta else None,
        "start_after": inputs.point_in_time("--start-after", start_after, now),
        "soft_sla": inputs.point_in_time("--soft-sla", soft_sla, now),
        "hard_sla": inputs.point_in_time("--hard-sla", hard_sla, now),
        "expire_in_seconds": expire_in,
        "timeout": timeout,
        "retry_limit": retry_limit,
        "definition": definition,
        "webhook": None if webhook is None else {"url": webhook},
        "concurrency_key": concurrency_key,
        "unique_key": unique_key,
        "policy": policy,
        "task_token": task_token,
    }
    given = {key: value for key, value in fields.items() if value is not None} | inputs.json_pairs("--set", set_ or ())
    if dry_run:
        if batch is not None or watch or quiet:
            raise InvalidInput.field("--dry-run", "does not go with --batch, --watch or --quiet")
        _estimate(session, {**given, **({"job_id": job_id} if job_id else {})})
    elif batch is None:
        _submit_one(session, {**given, "job_id": job_id}, watch=watch, quiet=quiet)
    elif watch or quiet or job_id is not None:
        raise InvalidInput.field("--batch", "does not go with --watch, --quiet or --job-id")
    else:
        _submit_file(session, batch, given)


def _estimate(session: Session, fields: dict[str, Any]) -> None:
    with session.client() as client:
        found = client.estimate(**fields)
    if session.as_json:
        emit(dict(found))
        return
    say(f"About ${found['dollars']:.9f} in the cloud, at list prices of {clean(found['prices_as_of'])}:")
    say(f"{found['requests']:g} requests, {found['write_units']:g} write and {found['read_units']:g} read units, ")
    say(f"a handler of {found['handler_ms']} ms with {found['memory_mb']} MB")


def _submit_one(session: Session, fields: Mapping[str, Any], *, watch: bool, quiet: bool) -> None:
    if not {"name", "definition"} & set(fields) and not _names_agent(fields.get("data")):
        raise InvalidInput.field("NAME", "is missing: what shall run?")
    with session.patient_client() if watch else session.client() as client:
        job = client.submit(**fields)
        if not session.as_json:
            say(job.id if quiet else f"✅ Submitted job {clean(job.id)}")
        ended = follow(client, job.id, quiet=session.as_json or quiet) if watch else None
    if session.as_json:
        emit((ended or job).raw)
    elif ended is not None and not quiet:
        say("")
        show_job(ended)
    if ended is not None:
        raise typer.Exit(job_exit_code(ended))


def _names_agent(data: object) -> bool:
    return isinstance(data, dict) and "agent" in data


def _submit_file(session: Session, file: str, defaults: Mapping[str, Any]) -> None:
    lines = list(inputs.job_lines(inputs.read_text("--batch", file), defaults))
    numbers = [number for number, job in lines if not isinstance(job, InvalidInput)]
    jobs = [job for _, job in lines if not isinstance(job, InvalidInput)]
    rejected = [
        {"line": number, "code": job.code, "message": job.message, "details": {}}
        for number, job in lines
        if isinstance(job, InvalidInput)
    ]
    accepted: list[str] = []
    for result in _sent(session, jobs):
        accepted += result.accepted
        rejected += [{"line": numbers[each.index], **_reason(each)} for each in result.rejected]
    _report(session, accepted, sorted(rejected, key=lambda each: int(each["line"])))


def _reason(rejected: Any) -> dict[str, Any]:
    return {key: value for key, value in asdict(rejected).items() if key != "index"}


def _sent(session: Session, jobs: list[dict[str, Any]]) -> Iterator[Batch]:
    with session.patient_client() as client, bar() as progress:
        task = progress.add_task("Submitting", total=len(jobs), visible=not session.as_json)
        for result in client.submit_chunks(jobs):
            progress.advance(task, result.size)
            yield result


def _report(session: Session, accepted: list[str], rejected: list[dict[str, Any]]) -> None:
    if session.as_json:
        emit({"accepted": accepted, "rejected": rejected})
    else:
        say(f"✅ Submitted {len(accepted)} jobs")
        if rejected:
            complain(f"{len(rejected)} rejected:")
        for each in rejected:
            complain(clean(f"line {each['line']}: {each['code']}: {each['message']}"))
    if rejected:
        raise typer.Exit(REFUSED)
