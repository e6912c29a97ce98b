"""Definitions: stored version by version, and jobs made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.definition import Definition, parse_reference
from tidegate.domain.errors import Conflict, InvalidInput, NotFound
from tidegate.domain.job import Json
from tidegate.domain.schema import check_schema
from tidegate.domain.spec import JobSpec, digest_of
from tidegate.domain.webhook import RESERVED_PREFIX, parse_target
from tidegate.ports import Ports

from .audit import Act
from .policies import queue_named
from .schemas import check_data, compile_schema

_TRIES = 5


def put_definition(
    ports: Ports, caller: Caller, name: str, *, schema: Json, job: Mapping[str, Any], description: str
) -> tuple[Definition, bool]:
    """Store a new version, unless the latest says the same; answers it and whether it is new.

    Raises InvalidInput for a schema that is wrong or not bounded, and for a default that no job could have.
    """
    caller.require(Scope.OPERATE)
    draft = Definition(
        tenant=caller.tenant,
        name=name,
        version=1,
        schema=schema,
        job={field: list(value) if isinstance(value, tuple) else value for field, value in job.items()},
        description=description,
        created_by=caller.user,
    )
    _check(ports, draft)
    act = Act(ports, caller, "definition.put", name)
    for _ in range(_TRIES):
        latest = ports.definitions.get(caller.tenant, name)
        if latest is not None and latest.says_the_same_as(draft):
            return latest, False
        version = 1 if latest is None else latest.version + 1
        stored = replace(draft, version=version, created_at=ports.now())
        act.note()
        if ports.definitions.add(stored):
            return stored, True
    raise Conflict(f"definition '{name}' is being changed by someone else", definition=name)


def get_definition(ports: Ports, caller: Caller, name: str, version: int | None = None) -> Definition:
    """A version of a definition, the latest unless told. Raises NotFound."""
    caller.require(Scope.READ)
    return _found(ports, caller.tenant, name, version)


def list_definitions(ports: Ports, caller: Caller) -> Sequence[Definition]:
    """The latest version of each definition, by name."""
    caller.require(Scope.READ)
    return ports.definitions.list(caller.tenant)


def spec_from(ports: Ports, tenant: str, reference: str, given: Mapping[str, Any]) -> JobSpec:
    """The job that `given` (fields of `JobSpec`) asks for, made from the definition that `reference` names.

    Raises InvalidInput when there is no such definition, or when the data does not fit its schema: the error's
    field is the path of the first value that does not.
    """
    name, version = parse_reference(reference)
    try:
        definition = _found(ports, tenant, name, version)
    except NotFound as error:
        raise InvalidInput.field("definition", error.message) from error
    asked = {field: value for field, value in given.items() if field not in ("job_id", "task_token")}
    digest = digest_of({**asked, "definition": reference}) if given.get("job_id") is not None else None
    spec = definition.spec(given, digest)
    if definition.schema is not None:
        check_data(definition, spec.data)
    return spec


def _found(ports: Ports, tenant: str, name: str, version: int | None) -> Definition:
    definition = ports.definitions.get(tenant, name, version)
    if definition is None:
        wanted = name if version is None else f"{name}@{version}"
        raise NotFound(f"there is no definition '{wanted}'", definition=wanted)
    return definition


def _check(ports: Ports, draft: Definition) -> None:
    if draft.schema is not None:
        check_schema(draft.schema)
        compile_schema(draft.schema)
    spec = draft.spec({}, None)
    if spec.name.startswith(RESERVED_PREFIX):
        raise InvalidInput.field("job.name", f"must not start with '{RESERVED_PREFIX}'")
    if spec.webhook is not None:
        parse_target("job.webhook.url", spec.webhook["url"], development=ports.development)
    try:
        queue_named(ports, draft.tenant, spec.queue)
    except NotFound as error:
        raise InvalidInput.field("job.queue", error.message) from error
