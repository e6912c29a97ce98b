"""What bodies of requests are made of. Strict: no unknown field, no text for a number, no boolean for an integer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Ms, UniquePolicy
from tidegate.domain.logs import Level, level_named
from tidegate.domain.priority import HIGHEST, LOWEST, NAMES, parse_priority
from tidegate.domain.spec import HORIZON_SECONDS
from tidegate.domain.uniqueness import policy_named

from .wire import TIME_RULE, parse_time

MAX_REASON = 500
MAX_LIMIT = 200
MAX_OFFSET = 10_000
PRIORITY_RULE = f"must be an integer from {LOWEST} to {HIGHEST}, or one of {', '.join(NAMES)}"


def rule_by(parse: Callable[[Any], Any], rule: str) -> BeforeValidator:
    """Let `parse` of the domain read a value; `rule` is what a wrong one is told."""

    def read(value: Any) -> Any:
        try:
            return parse(value)
        except InvalidInput:
            raise PydanticCustomError("rule", "{rule}", {"rule": rule}) from None

    return BeforeValidator(read)


def word_by(parse: Callable[[str], Any], rule: str) -> BeforeValidator:
    """The same for a parser that knows texts alone: anything else breaks the rule too."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise InvalidInput(rule)
        return parse(value)

    return rule_by(read, rule)


_PRIORITY_SCHEMA = {"anyOf": [{"type": "integer", "minimum": LOWEST, "maximum": HIGHEST}, {"enum": list(NAMES)}]}
Priority = Annotated[int, rule_by(parse_priority, PRIORITY_RULE), WithJsonSchema(_PRIORITY_SCHEMA)]
Time = Annotated[Ms, rule_by(parse_time, TIME_RULE), WithJsonSchema({"type": "string", "format": "date-time"})]
LEVEL_RULE = f"must be one of {', '.join(Level)}"
LogLevel = Annotated[Level, word_by(level_named, LEVEL_RULE), WithJsonSchema({"enum": list(Level)})]
_POLICY_RULE = f"must be one of {', '.join(UniquePolicy)}"
Policy = Annotated[UniquePolicy, word_by(policy_named, _POLICY_RULE), WithJsonSchema({"enum": list(UniquePolicy)})]
Word = Annotated[str, Field(min_length=1)]


def parse_deadline(value: Any) -> Ms | float:
    """A time as RFC 3339 has it (an int), or a number of seconds (a float). Raises InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return parse_time(value)
    if not 0 < value <= HORIZON_SECONDS:
        raise InvalidInput(DEADLINE_RULE)
    return float(value)


DEADLINE_RULE = f"{TIME_RULE}, or a number of seconds, above 0 and at most {HORIZON_SECONDS:.0f}"
_DEADLINE_SCHEMA = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number", "exclusiveMinimum": 0}]}
Deadline = Annotated[Ms | float, rule_by(parse_deadline, DEADLINE_RULE), WithJsonSchema(_DEADLINE_SCHEMA)]


class Body(BaseModel):
    """The base of all bodies. Schemas are built when first used, which keeps a cold start short."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)

    def __repr__(self) -> str:
        """Powertools writes requests into its debug log: a payload has no place there, and is dear to print."""
        return type(self).__name__


def one_of(**given: Any) -> Any:
    """The one value under any of several names. Raises InvalidInput when two of them differ."""
    first = None
    for value in given.values():
        if first is None:
            first = value
        elif value is not None and value != first:
            names = " and ".join(name for name, each in given.items() if each is not None)
            raise InvalidInput.field(names, "mean the same: give one of them")
    return first


def agent_in(data: Any) -> str | None:
    """The name of a handler that data carries under `agent`, if it does."""
    agent = data.get("agent") if isinstance(data, dict) else None
    return agent if isinstance(agent, str) else None
