"""Printing: JSON for programs, plain lines and tables for people.

What a job says of itself may come from anyone, so control characters never reach a terminal as such.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

STATUS_STYLES = {
    "pending": "yellow",
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
    "expired": "red",
    "skipped": "dim",
}

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_IN_JSON = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNLIMITED = 10_000
"""Columns of an output that is no terminal: nothing is cut or folded there."""


def console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr, without colours or control codes unless that is a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _UNLIMITED
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def say(*lines: str | Text) -> None:
    """Print lines as they are; a terminal wraps them, nothing else does."""
    out = console()
    for line in lines:
        out.print(line, soft_wrap=True)


def complain(line: str) -> None:
    """Print one line on stderr."""
    console(stderr=True).print(line, soft_wrap=True)


def emit(value: Any, *, line: bool = False) -> None:
    """Print one JSON document, or one line of a stream of them."""
    sys.stdout.write(json_text(value, indent=None if line else 2) + "\n")
    sys.stdout.flush()


def json_text(value: Any, indent: int | None = 2) -> str:
    """`value` as JSON that is safe to show on a terminal."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _CONTROL_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def clean(value: object) -> str:
    """One line of text without control characters: they are shown as escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), str(value))


def moment(value: datetime | None) -> str:
    """A time as `2025-11-20 14:30:00` in UTC, or `-`."""
    return "-" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def status_text(status: str) -> Text:
    """A status in its colour."""
    return Text(clean(status), style=STATUS_STYLES.get(status, ""))


def table(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print columns under headings; long values fold on a narrow terminal and are never cut."""
    for line in lines_of(grid(headings, rows)):
        sys.stdout.write(line + "\n")


def grid(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Columns under headings, to be shown among other things."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else clean(cell) for cell in row))
    return made


def lines_of(shown: RenderableType) -> list[str]:
    """The lines that something takes on stdout, without blanks at their ends."""
    out = console()
    with out.capture() as captured:
        out.print(shown)
    return [line.rstrip() for line in captured.get().splitlines()]
