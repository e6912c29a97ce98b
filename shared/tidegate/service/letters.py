"""Dead letters that were put aside: look at them, send them on their way again, or drop them.

A letter that names a tenant is that tenant's; one that names none is the default tenant's to deal with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import InvalidInput, NotFound
from tidegate.domain.job import Ms
from tidegate.domain.ticket import decode
from tidegate.ports import Ports

from .audit import audited
from .bury import bury
from .tokens import DEFAULT_TENANT

FOLDER = "dead-letters/"
_SUFFIX = ".json"
_PAGE = 200
MAX_LETTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message that was no ticket when it was put aside."""

    id: str
    body: str
    source: str
    """Name of the queue that gave it up."""
    reason: str
    at: Ms


class Fate(StrEnum):
    """What became of a letter."""

    RENEWED = "renewed"
    """It is a ticket now, its job is open: a fresh ticket was sent."""
    SPENT = "spent"
    """It is a ticket now, but its job has ended or is gone."""
    UNREADABLE = "unreadable"
    """It is still no ticket: it stays where it is."""
    DROPPED = "dropped"
    """It was deleted, as asked for."""


def list_letters(ports: Ports, caller: Caller, after: str = "", limit: int = MAX_LETTERS) -> Sequence[Letter]:
    """The letters put aside, by id, those after an id; an empty answer is the end."""
    caller.require(Scope.OPERATE)
    found: list[Letter] = []
    for letter in _letters(ports, caller, after):
        found.append(letter)
        if len(found) == limit:
            break
    return found


def redrive(
    ports: Ports, caller: Caller, ids: Sequence[str] | None, *, drop: bool, confirm: bool
) -> dict[str, Fate | None]:
    """Deal with the letters of these ids (None: all, up to `MAX_LETTERS`), and say what became of each.

    Without `confirm` nothing is done, and every fate is None. Raises NotFound for an id without a letter.
    """
    caller.require(Scope.OPERATE)
    letters = list_letters(ports, caller) if ids is None else [_letter(ports, caller, each) for each in ids]
    if confirm and letters:
        audited(ports, caller, "maintenance.drop" if drop else "maintenance.redrive", letters=len(letters))
    return {letter.id: _dealt_with(ports, letter, drop=drop) if confirm else None for letter in letters}


def _dealt_with(ports: Ports, letter: Letter, *, drop: bool) -> Fate:
    """The ticket first, then the letter goes: a crash in between sends one ticket too many, which does no harm."""
    fate = Fate.DROPPED
    if not drop:
        try:
            decode(letter.body)
        except InvalidInput:
            return Fate.UNREADABLE
        fate = Fate(bury(ports, letter.body, letter.source).value)
    ports.blobs.delete(FOLDER + letter.id + _SUFFIX)
    return fate


def _letters(ports: Ports, caller: Caller, after: str) -> Iterator[Letter]:
    last = FOLDER + after + _SUFFIX if after else ""
    while keys := ports.blobs.list(FOLDER, last, _PAGE):
        for key in keys:
            letter = _read(ports, key)
            if letter is not None and _tenant_of(letter.body) == caller.tenant:
                yield letter
        last = keys[-1]


def _letter(ports: Ports, caller: Caller, letter_id: str) -> Letter:
    letter = _read(ports, FOLDER + letter_id + _SUFFIX) if letter_id.isalnum() else None
    if letter is None or _tenant_of(letter.body) != caller.tenant:
        raise NotFound(f"there is no dead letter '{letter_id}'", id=letter_id)
    return letter


def _read(ports: Ports, key: str) -> Letter | None:
    try:
        found = json.loads(ports.blobs.get(key))
    except NotFound:
        return None
    letter_id = key.removeprefix(FOLDER).removesuffix(_SUFFIX)
    return Letter(id=letter_id, body=found["body"], source=found["source"], reason=found["reason"], at=found["at"])


def _tenant_of(body: str) -> str:
    """A ticket of any version begins with its version and its tenant."""
    try:
        parts = json.loads(body)
    except (ValueError, RecursionError):
        return DEFAULT_TENANT
    named = isinstance(parts, list) and len(parts) > 1 and isinstance(parts[1], str)
    return str(parts[1]) if named else DEFAULT_TENANT
