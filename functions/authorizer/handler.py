"""Bearer token → tenant, user and scopes (HTTP API authorizer, payload format 2.0, simple response)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate import runtime
from tidegate.domain.errors import Unauthenticated
from tidegate.execution.correlating import correlated, of_request
from tidegate.execution.discreet import discreet
from tidegate.execution.emf import publish
from tidegate.service.tokens import authenticate


@discreet
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Answer whether the caller is known, and for whom the request is made.

    Raises Unavailable when the tokens, or the issuer's keys, cannot be read: a refusal would be remembered, an
    error is not.
    """
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    app = runtime.current()
    try:
        with correlated(of_request(event)):
            caller = authenticate(app.ports, headers.get("authorization"), app.issuer)
    except Unauthenticated:
        publish(app.settings.cloud_stage, {"TokensRefused": 1})
        return {"isAuthorized": False}
    return {"isAuthorized": True, "context": caller.as_context()}
