"""Every operation of the API's description as requests, and a tenant whose things nobody else may see or touch.

A new route needs an entry in `tidegate_functions.api.scopes`, and one in `BODIES` here if it takes a body; then every
case of the matrix is tried on it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from home import Home
from support.issuer import JWKS, Issuer
from tidegate import runtime
from tidegate.adapters.oidc import OidcIssuer
from tidegate.domain.caller import Caller
from tidegate.domain.identity import rules_from
from tidegate.execution.context import JobContext
from tidegate.local.http import answer_to
from tidegate.ports import Token
from tidegate.runtime import App
from tidegate.service.bury import bury
from tidegate.service.tokens import new_token

DESCRIPTION: Mapping[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
"""What the API says of itself, as it is committed; `test_openapi` holds it to what the program says."""
OWNER = "acme"
MARK = "for-acme-alone"
"""Stands in everything of the tenant that could be told: data, results, errors, logs, reasons, notes."""
RUN = "0194bc2e-1c00-7000-8000-0000000000aa"
WAITING, RUNNING, DONE, FAILED = JOBS = ("acme-waiting", "acme-running", "acme-done", "acme-failed")
ADA = Caller(OWNER, "ada", frozenset({"submit", "read", "operate"}))
_MINUTE = "2033-05-18T07:00:00Z"

THINGS: Mapping[str, tuple[str, ...]] = {
    "job_id": JOBS,
    "key": (*JOBS, "ACTIVE"),
    "dag_id": (RUN,),
    "name": ("acme-queue",),
    "ref": ("acme-schedule",),
    "token_id": ("acme-token",),
    "worker_id": ("acme-worker",),
}
"""What the tenant has, by the path parameter that names it."""

BODIES: Mapping[str, Any] = {
    "submit_job": {"name": "work"},
    "submit_jobs": {"jobs": [{"name": "work"}]},
    "invoke": {"parameters": {"command": "work"}},
    "cancel_job": {},
    "marie_stop_job": {},
    "retry_job": {"counted": True},
    "reprioritise_job": {"priority": 1},
    "bulk": {"action": "cancel", "job_ids": list(JOBS)},
    "submit_dag": {"name": "run", "nodes": [{"id": "a", "name": "work"}]},
    "validate_dag": {"name": "run", "nodes": [{"id": "a", "name": "work"}]},
    "cancel_dag": {},
    "create_schedule": {"name": "nightly", "expression": "0 2 * * *", "job": {"name": "work"}},
    "patch_schedule": {"expression": "0 3 * * *"},
    "disable_schedule": {},
    "trigger_schedule": {},
    "backfill_schedule": {"from": _MINUTE, "until": "2033-05-18T07:30:00Z"},
    "pause_schedules": {},
    "put_queue": {"retry_limit": 1},
    "patch_queue": {"retry_limit": 1},
    "pause_queue": {},
    "put_definition": {"job": {"name": "work"}},
    "purge": {"all": True, "confirm": True},
    "archive": {"all": True, "confirm": True},
    "retry_jobs": {"all": True, "confirm": True},
    "reset_stuck": {"older_than": 0, "confirm": True},
    "claim_jobs": {"worker_id": "eve"},
    "put_worker": {"started_at": _MINUTE},
    **{name: {"attempt": 1} for name in ("heartbeat", "complete_job", "skip_job", "job_stopped")},
    "fail_job": {"attempt": 1, "error_message": ""},
    "snooze_job": {"attempt": 1, "seconds": 1},
    "append_job_logs": {"attempt": 1, "lines": [{"message": "x"}]},
    "redrive": {"all": True, "drop": True, "confirm": True},
    "create_token": {"user": "bob"},
    "patch_tenant": {"max_batch": 50},
}
"""A body that each operation which takes one would accept, and that would do as much as it can."""
NEEDED_IN_QUERY = {"attempt": "1"}
"""A value of each parameter that a query string must have."""


@dataclass(frozen=True)
class Asked:
    """One request of one operation. `names` are the things in its path."""

    operation: str
    method: str
    path: str
    names: tuple[str, ...]
    body: bytes
    query: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def requests() -> Iterator[Asked]:
    """A request for every operation and everything that it can name."""
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"]
            body = json.dumps(BODIES[name]).encode() if "requestBody" in operation else b""
            parameters = [part[1:-1] for part in path.split("/") if part.startswith("{")]
            for values in product(*(THINGS[each] for each in parameters)):
                filled = path.format(**dict(zip(parameters, values, strict=True)))
                yield Asked(name, method.upper(), filled, values, body, _query(operation))


def _query(operation: Mapping[str, Any]) -> str:
    needed = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query" and each["required"]]
    return "&".join(f"{name}={NEEDED_IN_QUERY[name]}" for name in needed)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    text: str


def ask(app: App, asked: Asked, authorization: str | None) -> Answer:
    """The answer of authorizer and API together."""
    headers = [(b"content-type", b"application/json"), (b"host", b"home.test")]
    if authorization is not None:
        headers.append((b"authorization", authorization.encode()))
    scope = {"method": asked.method, "path": asked.path, "query_string": asked.query.encode(), "headers": headers}
    with runtime.use(app):
        answer = answer_to(scope, asked.body)
    text = answer.get("body") or ""
    if answer.get("isBase64Encoded"):
        text = base64.b64decode(text).decode()
    return Answer(int(answer["statusCode"]), text)


def bearer(home: Home, tenant: str, user: str, *scopes: str, **fields: Any) -> str:
    """The header of a fresh token, used once already."""
    clear, token = new_token(home.clock.now(), tenant=tenant, user=user, scopes=scopes)
    home.ports.tokens.put(replace(token, last_used_at=home.clock.now(), **fields))
    return f"Bearer {clear}"


def with_issuer(home: Home) -> App:
    """The home, taking the tokens of an OIDC issuer too."""
    rules = rules_from(
        {"issuer": "https://id.example.org/realm", "audience": "tidegate", "tenant_claim": "org", "jwks_uri": JWKS}
    )
    return replace(home.app, issuer=OidcIssuer(rules, home.clock.now, Issuer().fetch))


def furnish(home: Home) -> None:
    """Give the tenant one thing of every kind, each with the mark."""
    app = home.app
    authorization = bearer(home, OWNER, "ada", "submit", "read", "operate")
    made: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", "/queues/acme-queue", {"retry_limit": 0}),
        ("POST", "/queues/acme-queue/pause", {"reason": MARK}),
        ("PUT", "/definitions/acme-queue", {"description": MARK}),
        ("POST", "/jobs", {"name": "work", "job_id": WAITING, "queue": "acme-queue", "data": MARK, "tags": [MARK]}),
        ("POST", "/jobs", {"name": "work", "job_id": DONE, "data": MARK}),
        ("POST", "/jobs", {"name": "fail", "job_id": FAILED, "retry_limit": 0}),
    ]
    for method, path, body in made:
        assert ask(app, Asked("", method, path, (), json.dumps(body).encode()), authorization).status < 300
    worker = json.dumps({**BODIES["put_worker"], "host": MARK}).encode()
    header = bearer(home, OWNER, "ada", "work")
    assert ask(app, Asked("", "PUT", "/workers/acme-worker", (), worker), header).status == 200
    home.drain(home.runner(work=_work, fail=_fail))
    home.submit("run", ADA, job_id=RUNNING, data=MARK)
    assert _held(home) == RUNNING
    begun: list[tuple[str, dict[str, Any]]] = [
        ("/dags", {"name": MARK, "dag_id": RUN, "nodes": [{"id": "a", "name": "work", "queue": "acme-queue"}]}),
        ("/schedules", {"name": "acme-schedule", "expression": "0 2 * * *", "job": {"name": "work", "data": MARK}}),
    ]
    for path, body in begun:
        assert ask(app, Asked("", "POST", path, (), json.dumps(body).encode()), authorization).status == 201
    token = Token(
        id="acme-token", secret_hash="", tenant=OWNER, user="ada", scopes=frozenset({"read"}), created_at=1, note=MARK
    )
    home.ports.tokens.put(token)
    bury(home.ports, json.dumps([9, OWNER, MARK]), "default/low")
    home.pump()


def _held(home: Home) -> str:
    """Take the one ticket there is, and leave its job running."""
    held: list[str] = []

    def vanish(job: JobContext) -> None:
        held.append(job.id)
        raise KeyboardInterrupt

    delivery = home.receive()
    assert delivery is not None
    try:
        home.runner(run=vanish).serve(delivery, lambda _: None)
    except KeyboardInterrupt:
        return held[0]
    raise AssertionError("the handler went on")


def _work(job: JobContext) -> str:
    job.log.info(MARK)
    return MARK


def _fail(job: JobContext) -> None:
    raise RuntimeError(MARK)


Stored = Callable[[], frozenset[str]]
"""Everything in the home that is the tenant's, each row or item as text."""


def things_of(rows: list[str]) -> frozenset[str]:
    """Those of the rows that speak of the tenant, but for the head of its audit log, which every act moves on."""
    return frozenset(row for row in rows if OWNER in row and "audit-head" not in row and "audit_heads" not in row)
