"""The route of `/audit`: who did what in the caller's tenant."""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.audit import AuditEntry, Head
from tidegate.domain.errors import InvalidInput
from tidegate.service.audit import read_audit

from .requests import answer, caller_of, only
from .wire import format_time

router = Router()  # type: ignore[no-untyped-call]
MAX_ENTRIES = 1_000


@router.get("/audit", tags=["audit"], operation_id="read_audit", summary="Who did what, entry by entry")
def audit(
    request: Request,
    after: Annotated[int, Query(ge=0, description="Entries above this number, oldest first: the way to check them.")]
    | None = None,
    before: Annotated[int, Query(ge=1, description="Entries below this number, newest first.")] | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_ENTRIES)] = 100,
) -> Response[Any]:
    """Newest first unless `after` is given. `hash` binds an entry to the one before it; `head` is the newest.

    Acts of people are in it, written before they are done; submissions and the work of workers are not.
    """
    only(request, "after", "before", "limit")
    if after is not None and before is not None:
        raise InvalidInput.field("before", "must not be given together with after")
    last = None if after is not None else before or _END
    found, head = read_audit(runtime.current().ports, caller_of(request), after=after or 0, before=last, limit=limit)
    entries = [_view(entry) for entry in found]
    return answer({"success": True, "message": "Audit log retrieved", "entries": entries, "head": _head(head)})


_END = 10**15
"""Above every number."""


def _view(entry: AuditEntry) -> dict[str, Any]:
    """An entry with all that its hash is made of: `at` is in milliseconds since 1970, `time` says the same."""
    names = ("number", "at", "tenant", "user", "via", "action", "target", "details", "previous", "hash")
    return {"time": format_time(entry.at), **{name: getattr(entry, name) for name in names}}


def _head(head: Head) -> dict[str, Any]:
    return {"number": head.number, "hash": head.hash}
