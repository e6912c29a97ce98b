"""Which schemas a definition may have, and what is said of data that does not fit."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pytest

from home import ADMIN, Home
from tidegate.domain.caller import Caller
from tidegate.domain.definition import Definition, parse_reference
from tidegate.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from tidegate.domain.queue import Queue
from tidegate.domain.schema import DIALECT, MAX_NODES, check_schema
from tidegate.service.definitions import get_definition, list_definitions, put_definition, spec_from
from tidegate.service.schemas import check_data, compile_schema
from tidegate.service.submit import submit_one

PAGES = {
    "type": "object",
    "properties": {"document": {"type": "string"}, "pages": {"type": "array", "items": {"type": "integer"}}},
    "required": ["document"],
    "additionalProperties": False,
}


def store(home: Home, called: str = "extract", schema: Any = None, caller: Caller = ADMIN, **job: Any) -> Definition:
    definition, _ = put_definition(home.ports, caller, called, schema=schema, job=job, description="")
    return definition


def let_in(schema: Any) -> None:
    check_schema(schema)
    compile_schema(schema)


def fault(schema: Any) -> tuple[str, str]:
    """Field and rule of what is wrong with a schema."""
    with pytest.raises(InvalidInput) as caught:
        let_in(schema)
    (error,) = caught.value.details["errors"]
    return error["field"], error["rule"]


def faults(schema: Any, data: Any) -> dict[str, str]:
    """What is wrong with data, by field."""
    check_schema(schema)
    try:
        check_data(Definition(tenant="t", name=f"n{time.monotonic_ns()}", version=1, schema=schema), data)
    except InvalidInput as error:
        return {each["field"]: each["rule"] for each in error.details["errors"]}
    return {}


def chain(length: int, *, uses: int) -> dict[str, Any]:
    """A schema of few words whose tree has `uses ** length` leaves."""
    links = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * uses} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**links, f"d{length}": {"type": "integer"}}}


class TestSchemas:
    @pytest.mark.parametrize(
        "schema",
        [
            {},
            PAGES,
            {"$schema": DIALECT, "x-owner": "me", "title": "t"},
            {"$defs": {"page": {"minimum": 1}}, "items": {"$ref": "#/$defs/page"}},
            {"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}},
            {"prefixItems": [True, {"$ref": "#/prefixItems/0"}], "items": False},
            {"pattern": "^(a+)+$"},
            chain(5, uses=2),
        ],
    )
    def test_a_bounded_schema_is_let_in(self, schema: dict[str, Any]) -> None:
        let_in(schema)

    @pytest.mark.parametrize(
        ("schema", "field", "rule"),
        [
            ([], "schema", "must be a JSON object"),
            ({"type": "strin"}, "schema.type", "is not valid"),
            ({"minimum": "1"}, "schema.minimum", "is not of type"),
            ({"required": "document"}, "schema.required", "is not of type"),
            ({"items": 3}, "schema.items", "must be a JSON object, true or false"),
            ({"proprties": {}}, "schema.proprties", "is not a known keyword"),
            ({"properties": {"a": {"$ref": "https://example.com/s"}}}, "schema.properties.a.$ref", "must point into"),
            ({"$ref": "other.json"}, "schema.$ref", "must point into"),
            ({"$ref": "#/$defs/nothing"}, "schema.$ref", "points to nothing"),
            ({"$ref": "#"}, "schema.$ref", "must not lead back"),
            ({"items": {"$ref": "#"}}, "schema.items.$ref", "must not lead back"),
            ({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}, "items.$ref", "lead back"),
            ({"$id": "https://example.com/"}, "schema.$id", "stand on its own"),
            ({"allOf": [{"$dynamicRef": "#x"}]}, "schema.allOf.0.$dynamicRef", "stand on its own"),
            ({"$schema": "http://json-schema.org/draft-07/schema#"}, "schema.$schema", "must be https"),
            ({"pattern": "(?=a)b"}, "schema.pattern", "without look-around"),
            ({"pattern": r"(a)\1"}, "schema.pattern", "without look-around"),
            ({"pattern": "(a{1,1000}){1,1000}"}, "schema.pattern", "moderate size"),
            ({"pattern": "a" * 257}, "schema.pattern", "at most 256 characters"),
            ({"patternProperties": {"(?!a)": True}}, "schema.patternProperties", "without look-around"),
            ({"description": "x" * 70_000}, "schema", "at most 64000 bytes"),
            (chain(40, uses=2), "schema", f"more than {MAX_NODES} subschemas"),
        ],
    )
    def test_any_other_is_refused_by_the_path_of_its_fault(self, schema: Any, field: str, rule: str) -> None:
        found = fault(schema)
        assert field in found[0]
        assert rule in found[1]

    def test_a_pattern_that_would_hold_up_others_is_matched_in_linear_time(self) -> None:
        started = time.perf_counter()
        assert faults({"pattern": "^(a+)+$"}, "a" * 200_000 + "b") == {"data": "must match ^(a+)+$"}
        assert time.perf_counter() - started < 30

    def test_the_library_is_not_imported_unless_a_schema_is_used(self) -> None:
        code = (
            "import sys, tidegate.runtime, tidegate.service.definitions, tidegate_functions.api.handler;"
            "sys.exit('jsonschema_rs' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestData:
    def test_faults_are_told_by_path_without_quoting_values(self) -> None:
        found = faults(PAGES, {"pages": ["secret", 2, 2.5], "extra": 1})
        assert found == {
            "data.document": "is required",
            "data.pages.0": "must be integer",
            "data.pages.2": "must be integer",
            "data.extra": "is not a known field",
        }

    @pytest.mark.parametrize(
        ("schema", "data", "rule"),
        [
            ({"type": ["string", "null"]}, 1, "must be null or string"),
            ({"enum": [1, "a"]}, 2, 'must be one of 1, "a"'),
            ({"const": {"a": 1}}, 2, 'must be {"a": 1}'),
            ({"minimum": 1}, 0, "must be at least 1"),
            ({"maximum": 1.5}, 2, "must be at most 1.5"),
            ({"exclusiveMinimum": 0}, 0, "must be more than 0"),
            ({"exclusiveMaximum": 0}, 0, "must be less than 0"),
            ({"multipleOf": 2}, 3, "must be a multiple of 2"),
            ({"minLength": 2}, "a", "must have at least 2 characters"),
            ({"maxLength": 2}, "aaa", "must have at most 2 characters"),
            ({"minItems": 1}, [], "must have at least 1 items"),
            ({"maxItems": 1}, [1, 2], "must have at most 1 items"),
            ({"minProperties": 1}, {}, "must have at least 1 fields"),
            ({"maxProperties": 0}, {"a": 1}, "must have at most 0 fields"),
            ({"pattern": "^a"}, "b", "must match ^a"),
            ({"format": "date-time"}, "x", "must be a valid date-time"),
            ({"uniqueItems": True}, [1, 1], "must not have an item twice"),
            ({"contains": {"type": "integer"}}, [], "must have an item of the kind asked for"),
            ({"anyOf": [{"type": "string"}]}, 1, "must fit one of the kinds allowed"),
            ({"oneOf": [True, True]}, 1, "must fit exactly one of the kinds allowed"),
            ({"not": {}}, 1, "must not be of the kind excluded"),
            ({"unevaluatedItems": False, "prefixItems": [True]}, [1, 2], "must satisfy 'unevaluatedItems'"),
        ],
    )
    def test_every_keyword_has_words_of_its_own(self, schema: Any, data: Any, rule: str) -> None:
        assert faults(schema, data) == {"data": rule}

    def test_at_most_20_faults_are_told(self) -> None:
        assert len(faults({"items": {"type": "integer"}}, ["x"] * 1000)) == 20


class TestJobs:
    def test_a_job_takes_over_what_it_does_not_say_and_records_the_version(self, home: Home) -> None:
        home.ports.queues.put_if_unchanged(Queue(tenant="main", name="reports", timeout=9), None)
        store(home, "extract", PAGES, queue="reports", priority=8, tags=("a",), retry_limit=1, name="read")
        given = {"data": {"document": "x"}, "priority": 2}
        job = submit_one(home.ports, ADMIN, spec_from(home.ports, "main", "extract", given)).job
        assert (job.definition, job.name, job.queue) == ("extract@1", "read", "reports")
        assert (job.priority, job.tags, job.retry_limit, job.timeout) == (2, ("a",), 1, 9)
        assert home.job(job.id).definition == "extract@1"

    def test_without_a_name_the_definition_names_the_handler(self, home: Home) -> None:
        store(home, "classify")
        assert spec_from(home.ports, "main", "classify", {}).name == "classify"

    def test_an_old_version_stays_as_it_was(self, home: Home) -> None:
        store(home, priority=1)
        assert store(home, priority=2).version == 2
        assert spec_from(home.ports, "main", "extract@1", {}).priority == 1
        assert spec_from(home.ports, "main", "extract", {}).definition == "extract@2"

    def test_the_same_content_makes_no_new_version(self, home: Home) -> None:
        assert store(home, schema=PAGES, tags=["a"]) == store(home, schema=PAGES, tags=("a",))
        assert store(home, schema=PAGES).version == 2

    def test_bad_data_is_refused_with_the_path_of_the_field(self, home: Home) -> None:
        store(home, schema=PAGES)
        with pytest.raises(InvalidInput, match=r"^data\.pages\.0: must be integer$"):
            spec_from(home.ports, "main", "extract", {"data": {"document": "x", "pages": ["one"]}})

    def test_defaults_must_fit_the_schema_only_once_a_job_uses_them(self, home: Home) -> None:
        store(home, schema=PAGES, data={"document": "x"})
        assert spec_from(home.ports, "main", "extract", {}).data == {"document": "x"}

    def test_the_same_request_is_one_job_although_the_definition_has_changed_since(self, home: Home) -> None:
        store(home, priority=1)
        first = submit_one(home.ports, ADMIN, spec_from(home.ports, "main", "extract", {"job_id": "j", "data": 1}))
        store(home, priority=2)
        again = submit_one(home.ports, ADMIN, spec_from(home.ports, "main", "extract", {"job_id": "j", "data": 1}))
        assert (again.created, again.job) == (False, first.job)
        with pytest.raises(Conflict):
            submit_one(home.ports, ADMIN, spec_from(home.ports, "main", "extract", {"job_id": "j", "data": 2}))

    @pytest.mark.parametrize("reference", ["", "a b", "a@", "a@0", "a@01", "a@x", "@1", "a@1@2"])
    def test_a_reference_has_one_form(self, reference: str) -> None:
        with pytest.raises(InvalidInput, match="definition"):
            parse_reference(reference)

    @pytest.mark.parametrize("reference", ["nothing", "extract@2"])
    def test_what_is_not_there_is_told(self, home: Home, reference: str) -> None:
        store(home)
        with pytest.raises(InvalidInput, match=f"there is no definition '{reference}'"):
            spec_from(home.ports, "main", reference, {})
        with pytest.raises(NotFound):
            get_definition(home.ports, ADMIN, *parse_reference(reference))

    @pytest.mark.parametrize(
        ("job", "field"),
        [
            ({"priority": 11}, "priority"),
            ({"queue": "nowhere"}, "job.queue"),
            ({"name": "tidegate.webhook"}, "job.name"),
            ({"job_id": "x"}, "job.job_id"),
            ({"start_after": 1}, "job.start_after"),
            ({"data": "x" * 40_000}, "job"),
            ({"retry_limit": -1}, "retry_limit"),
        ],
    )
    def test_a_default_that_no_job_could_have_is_refused(self, home: Home, job: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            store(home, **job)
        assert caught.value.details["errors"][0]["field"] == field
        assert list_definitions(home.ports, ADMIN) == []

    def test_only_operators_store_and_every_tenant_has_its_own(self, home: Home) -> None:
        with pytest.raises(Forbidden):
            store(home, caller=replace(ADMIN, scopes=frozenset({"submit", "read"})))
        store(home)
        with pytest.raises(NotFound):
            get_definition(home.ports, replace(ADMIN, tenant="other"), "extract")
        with pytest.raises(InvalidInput):
            spec_from(home.ports, "other", "extract", {})
