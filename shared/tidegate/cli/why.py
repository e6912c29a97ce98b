"""`tidegate why`: what keeps a job from running, or ended it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from .find import by_id_or_prefix
from .jobs import JobId
from .output import clean, emit, json_text, moment, say
from .session import Session, with_session

if TYPE_CHECKING:
    from tidegate.client import Gate, Why

_INDENT = " " * 4


@with_session
def why(session: Session, job_id: JobId) -> None:
    """Say why a job is not running, still runs, or ended as it did; times are in UTC."""
    with session.client() as client:
        found = by_id_or_prefix(client, job_id, client.why)
    if session.as_json:
        emit(found.raw)
    else:
        _show(found)


def _show(found: Why) -> None:
    say(clean(found.verdict))
    if found.expected_start is not None:
        say(f"Expected start: {moment(found.expected_start)}")
    say("")
    for gate in sorted(found.gates, key=lambda each: not each.holds):
        say(Text.assemble(_mark(gate), f" {clean(gate.gate)}: {clean(gate.message)}"))
        for line in _facts(gate.facts):
            say(f"{_INDENT}{clean(line)}")


def _mark(gate: Gate) -> tuple[str, str]:
    if gate.gate == "ended":
        return "•", ""
    return ("✋", "red") if gate.holds else ("✓", "green")


def _facts(facts: Mapping[str, Any]) -> list[str]:
    """One line for each fact that says something; the entries of a list on lines of their own."""
    lines: list[str] = []
    for name, value in facts.items():
        if value in (None, "", [], {}):
            continue
        if isinstance(value, list):
            lines += [f"{name}:", *(f"  {_plain(each)}" for each in value)]
        else:
            lines.append(f"{name}: {_plain(value)}")
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_plain(each)}" for name, each in value.items())
    return value if isinstance(value, str) else json_text(value, indent=None)
