"""`/definitions`, and jobs made from them: over HTTP, with the client, on the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bridge import client_of
from commands import Run
from gateway import Answer, Api

from tidegate.domain.errors import InvalidInput, NotFound

SCHEMA = {
    "type": "object",
    "properties": {"document": {"type": "string"}, "pages": {"type": "array", "items": {"type": "integer"}}},
    "required": ["document"],
}


def put(api: Api, name: str = "extract", **body: Any) -> Answer:
    return api.call("PUT", f"/definitions/{name}", json.dumps(body))


def test_a_definition_is_stored_read_and_listed(operator: Api) -> None:
    made = put(operator, schema=SCHEMA, job={"priority": "high", "tags": ["a"], "max_retries": 1}, description="pages")
    assert (made.status, made.body["message"]) == (201, "Definition stored")
    definition = made.body["definition"]
    assert definition == {
        "name": "extract",
        "version": 1,
        "reference": "extract@1",
        "schema": SCHEMA,
        "job": {"priority": 8, "tags": ["a"], "retry_limit": 1},
        "description": "pages",
        "created_at": "2033-05-18T08:00:00.000Z",
        "created_by": "olga",
    }
    assert operator.get("/definitions/extract").body["definition"] == definition
    assert operator.get("/definitions").body["definitions"] == [definition]


def test_another_content_is_another_version_and_the_same_is_not(operator: Api) -> None:
    assert put(operator, schema=SCHEMA).status == 201
    assert put(operator, schema=SCHEMA).status == 200
    assert put(operator, schema={}).body["definition"]["reference"] == "extract@2"
    assert operator.get("/definitions/extract", "version=1").body["definition"]["schema"] == SCHEMA
    assert operator.get("/definitions/extract").body["definition"]["schema"] == {}
    assert operator.get("/definitions/extract", "version=3").status == 404
    for query in ("version=0", "version=x", "latest=1", "version=1&version=2"):
        assert operator.get("/definitions/extract", query).status == 422


def test_a_job_made_from_one_records_its_version(operator: Api) -> None:
    put(operator, schema=SCHEMA, job={"name": "read", "priority": 8})
    made = operator.post("/jobs", {"definition": "extract", "data": {"document": "x"}, "tags": ["mine"]})
    assert made.status == 201
    job = operator.get(f"/jobs/{made.body['job_id']}").body["job"]
    assert (job["definition"], job["name"], job["priority"]) == ("extract@1", "read", 8)
    assert (job["data"], job["tags"]) == ({"document": "x"}, ["mine"])
    assert operator.submit().body["job"]["definition"] is None


def test_bad_data_is_refused_with_the_path_of_the_field(operator: Api) -> None:
    put(operator, schema=SCHEMA)
    answer = operator.post("/jobs", {"definition": "extract@1", "data": {"document": "x", "pages": ["one", 2]}})
    assert (answer.status, answer.body["code"]) == (422, "INVALID_INPUT")
    assert answer.body["message"] == "data.pages.0: must be integer"
    assert answer.body["details"]["errors"] == [{"field": "data.pages.0", "rule": "must be integer"}]


def test_in_a_batch_each_job_is_checked_for_itself(operator: Api) -> None:
    put(operator, schema=SCHEMA)
    jobs = [
        {"definition": "extract", "data": {"document": "x"}},
        {"definition": "extract", "data": {}},
        {"definition": "nothing"},
        {"name": "work"},
    ]
    answer = operator.post("/jobs/batch", {"jobs": jobs}).body
    assert len(answer["accepted"]) == 2
    assert [(each["index"], each["message"]) for each in answer["rejected"]] == [
        (1, "data.document: is required"),
        (2, "definition: there is no definition 'nothing'"),
    ]


def test_an_idempotency_key_makes_one_job(operator: Api) -> None:
    put(operator)
    body = {"definition": "extract", "data": 1}
    first, second = (operator.post("/jobs", body, Idempotency_Key="k") for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    assert first.body["job_id"] == second.body["job_id"]
    assert operator.post("/jobs", {**body, "data": 2}, Idempotency_Key="k").status == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"schema": {"type": "strin"}}, "schema.type"),
        ({"schema": {"$ref": "https://example.com/schema.json"}}, "schema.$ref"),
        ({"schema": {"properties": {"a": {"pattern": "(?<=x)y"}}}}, "schema.properties.a.pattern"),
        ({"schema": True}, "schema"),
        ({"job": {"priority": 11}}, "job.priority"),
        ({"job": {"queue": "nowhere"}}, "job.queue"),
        ({"job": {"definition": "other"}}, "job.definition"),
        ({"job": {"job_id": "x"}}, "job.job_id"),
        ({"job": {"webhook": {"url": "https://169.254.169.254/"}}}, "job.webhook.url"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_wrong_definition_is_refused_with_the_path_of_its_fault(operator: Api, body: Any, field: str) -> None:
    answer = put(operator, **body)
    assert answer.status == 422
    assert answer.body["details"]["errors"][0]["field"] == field
    assert operator.get("/definitions").body["definitions"] == []


def test_storing_needs_the_scope_operate_and_looking_read(api: Api, operator: Api) -> None:
    assert put(api).status == 403
    put(operator)
    assert api.by(scopes="submit").get("/definitions/extract").status == 403
    assert api.by(scopes="submit").get("/definitions").status == 403
    assert api.by(scopes="submit").post("/jobs", {"definition": "extract"}).status == 201
    assert api.by(scopes="read").post("/jobs", {"definition": "extract"}).status == 403


def test_another_tenant_has_other_definitions(operator: Api) -> None:
    put(operator)
    other = operator.by(tenant="other")
    assert other.get("/definitions/extract").status == 404
    assert other.get("/definitions").body["definitions"] == []
    assert other.post("/jobs", {"definition": "extract"}).status == 422


def test_the_client_stores_reads_and_uses_them(operator: Api) -> None:
    with client_of(operator) as client:
        stored = client.put_definition("extract", schema=SCHEMA, job={"priority": "high"}, description="pages")
        assert (stored.reference, stored.schema, stored.job) == ("extract@1", SCHEMA, {"priority": 8})
        assert client.definition("extract") == client.definition("extract", 1) == stored
        assert client.definitions() == (stored,)
        job = client.submit(definition="extract", data={"document": "x"})
        assert (job.definition, job.priority) == ("extract@1", 8)
        with pytest.raises(InvalidInput, match=r"data\.document: is required"):
            client.submit(definition="extract", data={})
        with pytest.raises(NotFound):
            client.definition("other")


def test_the_command_line_stores_shows_lists_and_uses_them(run: Run, tmp_path: Any) -> None:
    file = tmp_path / "extract.json"
    file.write_text(json.dumps(SCHEMA))
    put_it = ("definition", "put", "extract", "--schema", str(file), "--job", '{"priority": 8}', "--queue", "default")
    assert run(*put_it) == (0, "✅ Definition extract@1 is stored\n", "")
    assert run("definition", "put", "extract", "--description", "anything")[1] == "✅ Definition extract@2 is stored\n"
    code, out, _ = run("definition", "get", "extract@1", "--json")
    assert (code, json.loads(out)["schema"]) == (0, SCHEMA)
    assert "reference: extract@2\n" in run("definition", "get", "extract")[1]
    _, out, _ = run("definition", "list")
    assert out.splitlines()[1].split() == ["extract", "2", "2033-05-18", "08:00:00", "anything"]
    assert json.loads(run("definition", "list", "--json")[1])["definitions"][0]["version"] == 2
    _, out, _ = run("submit", "--definition", "extract@1", "--data", '{"document": "x"}', "--json")
    job = json.loads(out)
    assert job["definition"] == "extract@1"
    assert "Definition: extract@1\n" in run("show", job["id"])[1]


@pytest.mark.parametrize(
    ("args", "code", "line"),
    [
        (("submit", "--definition", "extract", "--data", "{}"), 2, "there is no definition 'extract'"),
        (("definition", "get", "extract"), 3, "there is no definition 'extract'"),
        (("definition", "get", "extract@x"), 2, "name@version"),
        (("definition", "put", "extract", "--job", "[]"), 2, "must be a JSON object"),
        (("definition", "put", "extract", "--schema", '{"type": "strin"}'), 2, "schema.type"),
    ],
)
def test_the_command_line_says_what_is_wrong(run: Run, args: tuple[str, ...], code: int, line: str) -> None:
    found, _, err = run(*args)
    assert found == code
    assert line in err
