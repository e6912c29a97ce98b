"""What is wrong with a run, gathered: one error tells all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from tidegate.domain.errors import InvalidInput, TidegateError

MAX_FAULTS_TOLD = 50


class Fault(NamedTuple):
    """One thing that is wrong: where, and which rule it breaks."""

    place: str
    rule: str

    @classmethod
    def all_in(cls, error: TidegateError, place: str = "") -> list[Self]:
        """The faults that an error tells, each at its field below `place`."""
        told = error.details.get("errors") or [{"field": "", "rule": error.message}]
        return [cls(f"{place}.{each['field']}".strip("."), each["rule"]) for each in told]


def refuse_all(faults: Sequence[Fault]) -> None:
    """Raises one InvalidInput with every fault (at most `MAX_FAULTS_TOLD`), each at its field, if there are any."""
    if not faults:
        return
    found = list(dict.fromkeys(faults))
    told = [{"field": fault.place, "rule": fault.rule} for fault in found[:MAX_FAULTS_TOLD]]
    more = "" if len(found) <= 5 else f" (and {len(found) - 5} more)"
    message = "; ".join(f"{fault.place}: {fault.rule}" for fault in found[:5])
    raise InvalidInput(message + more, errors=told, faults=len(found))
