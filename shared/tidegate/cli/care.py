"""`tidegate backup` and `tidegate doctor`: done in the home itself, with its files or its AWS credentials."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.domain.errors import InvalidInput
from tidegate.domain.words import counted
from tidegate.settings import settings_from

from .exits import REFUSED
from .output import clean, emit, say
from .session import AsJson
from .watch import bar

if TYPE_CHECKING:
    from tidegate.runtime import App
    from tidegate.service.examine import Examination, Finding

Data = Annotated[Path | None, typer.Option("--data", help="Data folder; else TIDEGATE_DATA, else ./.tidegate.")]
Stack = Annotated[str | None, typer.Option("--stack", help="Name of a deployed stack, with AWS credentials at hand.")]
SECOND_LOOK_SECONDS = 5.0
"""Between two looks at the counters: the change feed is seconds late at most."""


def backup(
    target: Annotated[
        str | None, typer.Argument(help="A new folder; in the cloud a name. Made up from the time if not given.")
    ] = None,
    data: Data = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Back up a home while it runs: a data folder that can be served, or on-demand backups of the tables."""
    from tidegate import runtime
    from tidegate.client.endpoint import data_folder

    name = target or f"tidegate-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    if stack is not None:
        settings = runtime.settings_of_stack(stack)
    else:
        settings = settings_from({"TIDEGATE_DATA": str(data_folder(data))})
    with bar() as progress:
        task = progress.add_task("Backup", total=None, visible=not as_json)
        made = runtime.back_up(settings, name, lambda done, all_: progress.update(task, completed=done, total=all_))
    if as_json:
        emit({"backups": made})
    else:
        say(*(f"✅ Backed up to {clean(each)}" for each in made))


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Put right what is found.")] = False,
    data: Data = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Find drift: lost tickets, unknown lanes, lapsed leases, orphaned timers, leaked slots, counters unlike a recount.

    Reads every job once (in the cloud: a scan of the table). Ends with 1 when something is left to be put right.
    """
    app = _app(data, stack)
    from tidegate.service.examine import examine

    with bar() as progress:
        task = progress.add_task("Jobs looked at: 0", total=None, visible=not as_json)
        found = examine(
            app.ports, repair=repair, told=lambda jobs: progress.update(task, description=f"Jobs looked at: {jobs}")
        )
    findings = [*found.findings, *_counters(app, found, repair=repair)]
    if as_json:
        shown = [_shown(each) for each in findings]
        emit({"jobs": found.jobs, "findings": shown, "repaired": repair and bool(findings)})
    else:
        _tell(found.jobs, findings, behind=_behind(app))
    if findings and not repair:
        raise typer.Exit(REFUSED)


def _app(data: Path | None, stack: str | None) -> App:
    from tidegate import runtime
    from tidegate.client.endpoint import data_folder

    if stack is not None:
        return runtime.build(runtime.settings_of_stack(stack))
    folder = data_folder(data)
    if not folder.is_dir():
        raise InvalidInput.field("--data", f"there is no folder {folder}")
    return runtime.embedded(folder)


def _counters(app: App, first: Examination, *, repair: bool) -> list[Finding]:
    """Counters that were off by the same twice. Changes that nobody has counted yet are no drift."""
    from tidegate.service.examine import counter_finding, examine, off_twice, repair_counters

    if not first.counts or _behind(app):
        return []
    time.sleep(SECOND_LOOK_SECONDS)
    off = off_twice(first.counts, examine(app.ports).counts)
    if _behind(app):
        return []
    if off and repair:
        repair_counters(app.ports, off)
    finding = counter_finding(off, repaired=repair)
    return [] if finding is None else [finding]


def _behind(app: App) -> bool:
    return app.feed is not None and bool(app.feed.read(1))


def _shown(finding: Finding) -> dict[str, object]:
    return {
        "drift": finding.drift.value,
        "count": finding.count,
        "examples": list(finding.examples),
        "repaired": finding.repaired,
    }


def _tell(jobs: int, findings: list[Finding], *, behind: bool) -> None:
    if behind:
        say("Counters were not compared: changes wait to be counted, as 'tidegate serve' does")
    for each in findings:
        verb = "repaired" if each.repaired else "found"
        say(f"{each.drift.value}: {each.count} {verb}, such as {clean(', '.join(each.examples))}")
    if not findings:
        say(f"✅ {counted(jobs, 'job')} looked at, nothing wrong")
