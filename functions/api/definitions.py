"""The routes of `/definitions`."""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.request import Request
from pydantic import ValidationError

from tidegate import runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.dag.faults import Fault, refuse_all
from tidegate.domain.definition import Definition
from tidegate.domain.errors import InvalidInput
from tidegate.ports import Ports
from tidegate.service import definitions as service
from tidegate.service.node_jobs import checked_jobs

from .dag_models import OF_ONE_RUN, DagRequest, asked_of, within
from .errors import invalid_input
from .models import DefinitionRequest
from .requests import answer, caller_of, query_pairs
from .wire import format_time

router = Router()  # type: ignore[no-untyped-call]


@router.get("/definitions", tags=["definitions"], operation_id="list_definitions", summary="All definitions, by name")
def list_definitions(request: Request) -> Response[Any]:
    """The latest version of each."""
    found = service.list_definitions(runtime.current().ports, caller_of(request))
    view = {"success": True, "message": "Definitions retrieved successfully", "definitions": [*map(_view, found)]}
    return answer(view)


@router.get("/definitions/<name>", tags=["definitions"], operation_id="get_definition", summary="One definition")
def get_definition(
    request: Request,
    name: str,
    version: Annotated[int | None, Query(ge=1, le=999_999_999, description="The latest unless given.")] = None,
) -> Response[Any]:
    """The latest version, or the one asked for."""
    if [word for word, _ in query_pairs(request)] not in ([], ["version"]):
        raise InvalidInput.field("version", "must be the only query parameter, given once")
    found = service.get_definition(runtime.current().ports, caller_of(request), name, version)
    return _told("Definition retrieved successfully", found)


@router.put("/definitions/<name>", tags=["definitions"], operation_id="put_definition", summary="Store a new version")
def put_definition(request: Request, name: str, body: DefinitionRequest) -> Response[Any]:
    """201 with the next version, or 200 with the latest one where that says the same already."""
    caller = caller_of(request)
    if body.job is not None and body.job.definition is not None:
        raise InvalidInput.field("job.definition", "cannot be given for all jobs of a definition")
    ports = runtime.current().ports
    caller.require(Scope.OPERATE)
    if body.dag is not None:
        _check_dag(ports, caller, name, body)
    stored, is_new = service.put_definition(
        ports,
        caller,
        name,
        schema=body.schema_,
        job={} if body.job is None else body.job.given(),
        description=body.description,
        dag=body.dag,
    )
    return _told("Definition stored" if is_new else "Definition is stored already", stored, 201 if is_new else 200)


def _check_dag(ports: Ports, caller: Caller, name: str, body: DefinitionRequest) -> None:
    """Refuse runs that could not be made. Raises one InvalidInput naming all faults, each below `dag`."""
    if body.job is not None:
        raise InvalidInput.field("job", "cannot be given beside dag")
    try:
        request = DagRequest.model_validate(body.dag)
    except ValidationError as error:
        refuse_all(Fault.all_in(invalid_input((each["loc"], each) for each in error.errors()), "dag"))
        raise
    refuse_all(
        [Fault(f"dag.{word}", "belongs to a single run") for word in OF_ONE_RUN if getattr(request, word) is not None]
    )
    try:
        whole = within(ports, caller.tenant, request.model_copy(update={"name": request.name or name}))
        asked = asked_of(whole)
        checked_jobs(ports, caller, asked.spec, ports.new_id(), ports.now(), asked.faults)
    except InvalidInput as error:
        refuse_all(Fault.all_in(error, "dag"))


def _told(message: str, definition: Definition, status: int = 200) -> Response[Any]:
    return answer({"success": True, "message": message, "definition": _view(definition)}, status)


def _view(definition: Definition) -> dict[str, Any]:
    shown = {
        "name": definition.name,
        "version": definition.version,
        "reference": definition.reference,
        "schema": definition.schema,
        "job": definition.job,
        "description": definition.description,
        "created_at": format_time(definition.created_at),
        "created_by": definition.created_by,
    }
    return shown if definition.dag is None else {**shown, "dag": definition.dag}
