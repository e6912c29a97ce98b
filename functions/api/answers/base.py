"""The bases of all answers, errors, and what the routes about the server itself answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from tidegate.domain.caller import Scope
from tidegate.domain.job import COARSE

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Day = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]
Status = Annotated[str, WithJsonSchema({"enum": list(dict.fromkeys(COARSE.values()))})]
Table = dict[str, dict[int, type[BaseModel]]]
"""By the `operation_id` of a route: the statuses of success and what each carries."""


class Answer(BaseModel):
    """The base of all answers."""

    model_config = ConfigDict(extra="forbid")


class Told(Answer):
    """Every success says so."""

    success: Literal[True]
    message: str


class Error(Answer):
    """Every error."""

    success: Literal[False]
    code: str = Field(description="For programs.")
    message: str = Field(description="For people.")
    details: dict[str, Any] = Field(description="For an invalid request: `errors`, each with `field` and `rule`.")


class Health(Answer):
    """The API answers."""

    success: Literal[True]
    status: Literal["ok"]
    version: str
    time: Time


class Identity(Told):
    """Whose token it is."""

    tenant: str
    user: str
    scopes: list[Scope]
    stage: str = Field(description="`local` embedded, else the name of the deployed stage.")
    version: str
    streams: bool = Field(description="Whether `GET /events` streams here.")


ANSWERS: Table = {
    "health": {200: Health},
    "whoami": {200: Identity},
}
