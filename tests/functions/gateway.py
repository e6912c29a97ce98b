"""API Gateway for tests: builds payload 2.0 events from a sample, and reads the answers."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tidegate_functions.api.handler import handler

MORNING = 2_000_016_000_000
"""2033-05-18T08:00:00Z in milliseconds."""
EVENTS = Path(__file__).parents[2] / "events"


def sample(name: str) -> dict[str, Any]:
    """The event in `events/<name>.json`."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Api:
    """One caller."""

    tenant: str = "main"
    user: str = "ada"
    scopes: str = "submit read"

    def by(self, **changes: str) -> Api:
        """Another caller, different in these."""
        return replace(self, **changes)

    def get(self, path: str, query: str = "") -> Answer:
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.call("POST", path, None if body is None else json.dumps(body), headers=headers)

    def submit(self, **fields: Any) -> Answer:
        return self.post("/jobs", {"name": "work", **fields})

    def call(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
        authorizer: Any = ...,
    ) -> Answer:
        event = copy.deepcopy(sample("api-get-health"))
        context = event["requestContext"]
        context["http"] |= {"method": method, "path": path}
        context["authorizer"] = {"lambda": {"tenant": self.tenant, "user": self.user, "scopes": self.scopes}}
        if authorizer is not ...:
            context["authorizer"] = authorizer
        event |= {"rawPath": path, "rawQueryString": query}
        if query:
            event["queryStringParameters"] = _joined(query)
        if body is not None:
            event["headers"]["content-type"] = "application/json"
            event["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
            event["isBase64Encoded"] = isinstance(body, bytes)
        event["headers"] |= {name.lower().replace("_", "-"): value for name, value in (headers or {}).items()}
        return read(handler(event, None))


def read(answer: dict[str, Any]) -> Answer:
    """What a Lambda returned, as HTTP."""
    text = json.dumps(answer)
    assert len(text) < 6_291_556 * 2
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return Answer(int(answer["statusCode"]), headers, answer["body"])


def _joined(query: str) -> dict[str, str]:
    """Repeated parameters as API Gateway gives them: joined with commas."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def metrics_in(output: str) -> list[dict[str, Any]]:
    """The lines in CloudWatch's embedded metric format that functions wrote."""
    return [json.loads(line) for line in output.splitlines()]
