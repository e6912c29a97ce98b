"""Definitions and webhooks: what the server answers, and the requests for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json

from .builder import Dag
from .calls import Call
from .fields import job_body, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One version of a template of jobs; `reference` is what a job names it by."""

    name: str
    version: int
    reference: str
    schema: Json = None
    job: Mapping[str, Any] = field(default_factory=dict)
    dag: Mapping[str, Any] | None = None
    description: str = ""
    created_at: datetime | None = None
    created_by: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Definition:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return cls(
            name=str(wire["name"]),
            version=int(wire["version"]),
            reference=str(wire["reference"]),
            schema=wire.get("schema"),
            job=dict(wire.get("job") or {}),
            dag=wire.get("dag"),
            description=wire.get("description") or "",
            created_at=_time(wire.get("created_at")),
            created_by=wire.get("created_by") or "",
            raw=wire,
        )


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """What messages about a queue's jobs are signed with; `previous` for a day after a rotation."""

    queue: str
    secret: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)
    rotated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message to a webhook, and how far it is. `id` is the message's, and that of the job which delivers it."""

    id: str
    event: str
    url: str
    state: str
    status: str
    attempt: int = 0
    response_status: int | None = None
    error_message: str | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None
    next_attempt_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def definitions() -> Call[tuple[Definition, ...]]:
    """Every definition."""
    return Call("GET", "/definitions", lambda wire: tuple(map(Definition.from_wire, wire["definitions"])))


def definition(name: str, version: int | None) -> Call[Definition]:
    """One version of a definition."""
    params = [] if version is None else [("version", str(version))]
    return Call("GET", f"/definitions/{_name(name)}", _definition, params=params)


def put_definition(
    name: str, schema: Json, job: Mapping[str, Any] | None, description: str, dag: Dag | Mapping[str, Any] | None
) -> Call[Definition]:
    """Store a version. The same content twice is one version."""
    given = {
        "schema": schema,
        "job": None if job is None else job_body(job),
        "dag": dag.body() if isinstance(dag, Dag) else dag,
        "description": description or None,
    }
    body = to_json({key: value for key, value in given.items() if value is not None}, "the definition")
    return Call("PUT", f"/definitions/{_name(name)}", _definition, body=body)


def webhook_secret(queue: str) -> Call[WebhookSecret]:
    """The secret of a queue's webhooks."""
    return Call("GET", f"/queues/{_name(queue)}/webhook-secret", _secret)


def rotate_webhook_secret(queue: str) -> Call[WebhookSecret]:
    """Replace the secret. Twice would also replace the previous one, so it is not repeated blindly."""
    path = f"/queues/{_name(queue)}/webhook-secret/rotate"
    return Call("POST", path, _secret, body=b"{}", repeatable=False)


def deliveries(job_id: str) -> Call[tuple[Delivery, ...]]:
    """The messages about a job."""
    return Call("GET", f"/jobs/{_name(job_id)}/webhooks", lambda wire: tuple(map(_delivery, wire["deliveries"])))


def _definition(wire: Mapping[str, Any]) -> Definition:
    return Definition.from_wire(wire["definition"])


def _secret(wire: Mapping[str, Any]) -> WebhookSecret:
    return WebhookSecret(wire["queue"], wire["secret"], wire.get("previous"), _time(wire.get("rotated_at")))


def _delivery(wire: Mapping[str, Any]) -> Delivery:
    return Delivery(
        id=str(wire["id"]),
        event=str(wire["event"]),
        url=str(wire["url"]),
        state=str(wire["state"]),
        status=str(wire["status"]),
        attempt=int(wire.get("attempt") or 0),
        response_status=wire.get("response_status"),
        error_message=wire.get("error_message"),
        created_at=_time(wire.get("created_at")),
        completed_at=_time(wire.get("completed_at")),
        next_attempt_at=_time(wire.get("next_attempt_at")),
        raw=wire,
    )


def _name(name: str) -> str:
    if not name or name in (".", ".."):
        raise InvalidInput.field("name", f"'{name}' cannot be one")
    return quote(name, safe="")


def _time(value: Any) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
