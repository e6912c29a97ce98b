"""The API's description of itself: current, sound, and true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.event_handler.openapi.models import OpenAPI
from gateway import Api
from tidegate_functions.api.answers import ANSWERS
from tidegate_functions.api.answers.base import Error
from tidegate_functions.api.openapi import document_text

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(COMMITTED.read_text())
METHODS = {"get", "put", "post", "delete", "patch"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield path, method, operation


def references(node: Any) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from references(each)


def test_the_committed_description_is_current() -> None:
    """Otherwise: python -m tidegate_functions.api.openapi > docs/openapi.json"""
    current = COMMITTED.read_text() == document_text()
    assert current  # a comparison of the texts would be explained line by line, for minutes and gigabytes


def test_it_is_served(api: Api) -> None:
    answer = api.get("/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body == DOCUMENT


def test_it_is_an_openapi_3_1_document_with_title_version_and_licence() -> None:
    OpenAPI.model_validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1")
    assert DOCUMENT["info"]["title"] == "Tidegate"
    assert DOCUMENT["info"]["version"] == "0.1.0"
    assert DOCUMENT["info"]["license"]["identifier"] == "MIT"


def test_everything_needs_a_bearer_token() -> None:
    assert DOCUMENT["security"] == [{"bearer": []}]
    scheme = DOCUMENT["components"]["securitySchemes"]["bearer"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    used = set(references(DOCUMENT))
    assert used == {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}


def test_every_operation_is_named_once_and_described() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    assert set(ANSWERS) == set(names) - {"openapi"}
    for _, _, operation in operations():
        assert operation["summary"]
        assert operation["description"]


def test_every_path_parameter_is_declared() -> None:
    for path, _, operation in operations():
        declared = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert {f"{{{name}}}" for name in declared} == {part for part in path.split("/") if part.startswith("{")}


def test_every_operation_tells_its_errors_in_the_one_shape() -> None:
    for _, _, operation in operations():
        failures = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"401", "500", "503"} <= set(failures)
        assert ("422" in failures) >= ("requestBody" in operation)
        for answer in failures.values():
            assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


def test_requests_refuse_unknown_fields_and_show_defaults() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for name in ("JobRequest", "BatchRequest", "QueueSettings", "PriorityRequest", "ReasonRequest"):
        assert schemas[name]["additionalProperties"] is False
    assert schemas["QueueSettings"]["properties"]["retry_limit"]["default"] == 3
    assert schemas["BatchRequest"]["properties"]["jobs"]["items"] == {"$ref": "#/components/schemas/JobRequest"}


@pytest.mark.parametrize(
    ("operation", "method", "path", "body"),
    [
        ("submit_job", "POST", "/jobs", {"name": "work", "tags": ["a"], "metadata": {"a": "b"}}),
        ("submit_jobs", "POST", "/jobs/batch", {"jobs": [{"name": "work"}, {"name": 1}]}),
        ("bulk", "POST", "/jobs/bulk", {"action": "cancel", "job_ids": ["j", "absent"]}),
        ("list_jobs", "GET", "/jobs", None),
        ("get_job", "GET", "/jobs/j", None),
        ("get_job_logs", "GET", "/jobs/j/logs", None),
        ("get_job_history", "GET", "/jobs/j/history", None),
        ("get_job_why", "GET", "/jobs/j/why", None),
        ("reprioritise_job", "POST", "/jobs/j/priority", {"priority": 1}),
        ("cancel_job", "POST", "/jobs/j/cancel", {}),
        ("retry_job", "POST", "/jobs/j/retry", None),
        ("delete_job", "DELETE", "/jobs/j", None),
        ("list_queues", "GET", "/queues", None),
        ("get_queue", "GET", "/queues/default", None),
        ("put_queue", "PUT", "/queues/default", {}),
        ("patch_queue", "PATCH", "/queues/default", {}),
        ("pause_queue", "POST", "/queues/default/pause", {}),
        ("resume_queue", "POST", "/queues/default/resume", None),
        ("put_definition", "PUT", "/definitions/d", {"schema": {}, "job": {"priority": "low", "webhook": None}}),
        ("get_definition", "GET", "/definitions/d", None),
        ("list_definitions", "GET", "/definitions", None),
        ("get_webhook_secret", "GET", "/queues/default/webhook-secret", None),
        ("rotate_webhook_secret", "POST", "/queues/default/webhook-secret/rotate", None),
        ("list_deliveries", "GET", "/jobs/j/webhooks", None),
        ("get_stats", "GET", "/stats", None),
        ("timeline", "GET", "/stats/timeline", None),
        ("throughput", "GET", "/stats/throughput", None),
        ("depth", "GET", "/stats/depth", None),
        ("sla_figures", "GET", "/stats/sla", None),
        ("health", "GET", "/health", None),
        ("whoami", "GET", "/whoami", None),
    ],
)
def test_answers_are_as_described(api: Api, operation: str, method: str, path: str, body: Any) -> None:
    api = api.by(scopes="submit read operate")
    api.submit(job_id="j")
    if operation == "get_definition":
        api.call("PUT", "/definitions/d", "{}")
    if operation == "retry_job":
        api.post("/jobs/j/cancel")
    answer = api.call(method, path, None if body is None else json.dumps(body))
    assert ANSWERS[operation][answer.status].model_validate_json(answer.text)
    if operation not in {"health"}:
        Error.model_validate_json(api.call(method, path, None, authorizer={}).text)
