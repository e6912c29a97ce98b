"""What the routes of definitions answer."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .base import Answer, Table, Time, Told


class Definition(Answer):
    """One version of a definition."""

    name: str
    version: int
    reference: str = Field(description="`name@version`, to be given as a job's `definition`.")
    data_schema: dict[str, Any] | None = Field(alias="schema")
    job: dict[str, Any]
    dag: dict[str, Any] | None = Field(None, description="The body of a run, where it is runs that are made from it.")
    description: str
    created_at: Time
    created_by: str


class DefinitionAnswer(Told):
    """One definition."""

    definition: Definition


class DefinitionList(Told):
    """All definitions."""

    definitions: list[Definition]


ANSWERS: Table = {
    "list_definitions": {200: DefinitionList},
    "get_definition": {200: DefinitionAnswer},
    "put_definition": {200: DefinitionAnswer, 201: DefinitionAnswer},
}
