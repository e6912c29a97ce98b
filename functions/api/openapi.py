"""The API's own description, made from its routes and models.

`python -m tidegate_functions.api.openapi > docs/openapi.json` writes the committed copy.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, License
from pydantic.json_schema import models_json_schema

from tidegate import __version__

from .answers import ANSWERS
from .answers.base import Error
from .errors import INTERNAL, STATUS
from .resolver import build
from .scopes import NEEDED
from .wire import JSON_TYPE

_REFERENCE = "#/components/schemas/{model}"
_QUERIES = {
    "/jobs": "ListQuery",
    "/jobs/{job_id}/logs": "LogQuery",
    "/events": "EventQuery",
    "/dags": "RunsQuery",
    "/dags/{dag_id}/graph": "GraphQuery",
    "/schedules": "ScheduleQuery",
    "/schedules/{ref}/next": "NextQuery",
}
"""The model of each query string."""
_METADATA = {
    "name": "metadata.KEY",
    "in": "query",
    "description": "Any number of these, KEY being a key of the job's `metadata`.",
    "required": False,
    "schema": {"type": "string"},
}
_STREAMS = {"stream_events": "text/event-stream"}
"""Operations that go on answering, where a connection can stay open."""
_TEXTS = {"metrics": "text/plain"}
"""Operations that answer otherwise than in JSON."""
_EVERYWHERE = (401, 403, 429, 500, 503)
_OF_QUERY = (422,)
_OF_BODY = (400, 413, 422)
_OF_NAMED = (404,)
_OF_CHANGE = (409,)
_OPEN_TO_ALL = frozenset({"health", "openapi"})
"""Operations that only fail as a whole."""
_LISTINGS = ("/jobs", "/api/jobs", "/api/jobs/{key}")
"""Where jobs are listed, with the same parameters."""
_MEANING = {
    200: "Done.",
    201: "Accepted for the first time.",
    202: "Accepted; it goes on by itself.",
    INTERNAL: "Something went wrong.",
} | {status: (error.__doc__ or "").strip() for error, status in reversed(tuple(STATUS.items()))}
_DESCRIPTION = (
    "A serverless job scheduler. Every answer but that of `/metrics` is JSON; every error has `success` false, a "
    "`code` for programs, "
    "a `message` for people and `details`. Times are RFC 3339 with an offset, durations are seconds."
)


@cache
def document_text() -> str:
    """The description as JSON text."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> dict[str, Any]:
    """The description in OpenAPI 3.1."""
    app = build()
    text = app.get_openapi_json_schema(
        title="Tidegate",
        version=__version__,
        description=_DESCRIPTION,
        license_info=License(name="MIT", identifier="MIT"),
        security_schemes={"bearer": HTTPBearer(description="A Tidegate token: `tg_…`.")},
        security=[{"bearer": []}],
    )
    found: dict[str, Any] = json.loads(text)
    schemas = {**_of_requests(found["components"]["schemas"]), **_of_answers()}
    for path, model in _QUERIES.items():
        operation = found["paths"][path]["get"]
        named = [each for each in operation.get("parameters", []) if each["in"] == "path"]
        operation["parameters"] = [*named, *_parameters(schemas[model])]
    for model in set(_QUERIES.values()):
        schemas.pop(model)
    for path in _LISTINGS:
        found["paths"][path]["get"]["parameters"].append(_METADATA)
    found["components"]["schemas"] = dict(sorted(schemas.items()))
    found["paths"] = dict(sorted(found["paths"].items()))
    descriptions = app.descriptions()
    for path, method, operation in _operations(found):
        operation["description"] = descriptions[operation["operationId"]]
        scope = NEEDED.get(operation["operationId"])
        operation["security"] = [{"bearer": [] if scope is None else [scope.value]}]
        operation["responses"] = dict(sorted(_responses(path, method, operation)))
    return found


def _of_requests(schemas: dict[str, Any]) -> dict[str, Any]:
    """The requests' schemas, without the errors that Powertools would answer by itself."""
    kept = {name: schema for name, schema in schemas.items() if not name.endswith("ValidationError")}
    kept["BatchRequest"]["properties"]["jobs"]["items"] = {"$ref": _REFERENCE.format(model="JobRequest")}
    return kept


def _parameters(query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parameters of a query string with their bounds, which Powertools leaves out."""
    for name, schema in query["properties"].items():
        described = {"description": schema.pop("description")} if "description" in schema else {}
        yield {"name": name, "in": "query", **described, "required": False, "schema": schema}


def _of_answers() -> dict[str, Any]:
    models = {model for answers in ANSWERS.values() for model in answers.values()} | {Error}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, made = models_json_schema([(model, "serialization") for model in ordered], ref_template=_REFERENCE)
    definitions: dict[str, Any] = made["$defs"]
    return definitions


def _operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _responses(path: str, method: str, operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    name = operation["operationId"]
    for status, model in ANSWERS.get(name, {}).items():
        yield _response(status, model.__name__, {**_STREAMS, **_TEXTS}.get(name, JSON_TYPE))
    if name not in ANSWERS:
        yield "200", {"description": _MEANING[200], "content": {JSON_TYPE: {"schema": {"type": "object"}}}}
    for status in sorted(set(_failures(path, method, operation))):
        yield _response(status, Error.__name__)


def _failures(path: str, method: str, operation: dict[str, Any]) -> Iterable[int]:
    yield from _EVERYWHERE
    if operation["operationId"] in _OPEN_TO_ALL:
        return
    if "requestBody" in operation:
        yield from _OF_BODY
    elif method == "get" and "parameters" in operation:
        yield from _OF_QUERY
    if "{" in path:
        yield from _OF_NAMED
    if operation["operationId"] in _STREAMS:
        yield 501
    if method != "get":
        yield from _OF_CHANGE


def _response(status: int, model: str, content: str = JSON_TYPE) -> tuple[str, dict[str, Any]]:
    schema = {"$ref": _REFERENCE.format(model=model)}
    return str(status), {"description": _MEANING[status], "content": {content: {"schema": schema}}}


if __name__ == "__main__":
    sys.stdout.write(document_text())
