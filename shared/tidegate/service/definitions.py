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
from tidegate.ports import Ports

from .allowed import check_allowed
from .audit import Act
from .policies import queue_named
from .schemas import check_data, compile_schema

_TRIES = 5


def put_definition(
    ports: Ports, caller: Caller, name: str, *, schema: Json, job: Mapping[str, Any], description: str, dag: Json = None
) -> tuple[Definition, bool]:
    """Store a new version, unless the latest says the same; answers it and whether it is new.

    `dag` is the body of a run, which has been checked. Raises InvalidInput for a schema that is wrong or not bounded,
    and for a default that no job could have.
    """
    caller.require(Scope.OPERATE)
    draft = Definition(
        tenant=caller.tenant,
        name=name,
        version=1,
        schema=schema,
        job={field: list(value) if isinstance(value, tuple) else value for field, value in job.items()},
        dag=dag,
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
    definition = _named(ports, tenant, reference)
    if definition.dag is not None:
        raise InvalidInput.field("definition", f"'{definition.reference}' makes runs, not jobs")
    asked = {field: value for field, value in given.items() if field not in ("job_id", "task_token")}
    digest = digest_of({**asked, "definition": reference}) if given.get("job_id") is not None else None
    spec = definition.spec(given, digest)
    if definition.schema is not None:
        check_data(definition, spec.data)
    return spec


def dag_definition(
    ports: Ports, tenant: str, reference: str, given: Mapping[str, Json]
) -> tuple[Definition, Mapping[str, Json]]:
    """The definition of runs that `reference` names, and the data of a run that gives this: what it does not give
    is as the definition says.

    Raises InvalidInput as `spec_from` does, and for a definition of jobs.
    """
    definition = _named(ports, tenant, reference)
    if definition.dag is None:
        raise InvalidInput.field("definition", f"'{definition.reference}' makes jobs, not runs")
    data = {**(definition.dag.get("data") or {}), **given}
    if definition.schema is not None:
        check_data(definition, data)
    return definition, data


def _named(ports: Ports, tenant: str, reference: str) -> Definition:
    name, version = parse_reference(reference)
    try:
        return _found(ports, tenant, name, version)
    except NotFound as error:
        raise InvalidInput.field("definition", error.message) from error


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
    check_allowed(ports, spec, "job.")
    try:
        queue_named(ports, draft.tenant, spec.queue)
    except NotFound as error:
        raise InvalidInput.field("job.queue", error.message) from error
