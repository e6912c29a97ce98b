"""The routes of `/tokens`: bearer tokens of the caller's tenant."""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.request import Request
from pydantic import Field

from tidegate import runtime
from tidegate.domain.caller import Scope
from tidegate.domain.job import Ms
from tidegate.ports import Token
from tidegate.service import tokens as service
from tidegate.service.tokens import LEAST_LIFE_SECONDS, LONGEST_LIFE_SECONDS, MAX_NOTE

from .bodies import Body, Word
from .requests import answer, caller_of, only
from .wire import format_time

router = Router()  # type: ignore[no-untyped-call]


class TokenRequest(Body):
    """A token to be made."""

    user: Word = Field(description="Whose it is; jobs submitted with it are this user's.")
    scopes: Annotated[list[Annotated[Scope, Field(strict=False)]], Field(min_length=1)] = Field(
        default_factory=lambda: [Scope.SUBMIT, Scope.READ]
    )
    expires_in_seconds: float | None = Field(
        None, ge=LEAST_LIFE_SECONDS, le=LONGEST_LIFE_SECONDS, description="Never, if it is not given."
    )
    note: str = Field("", max_length=MAX_NOTE, description="What it is for.")


@router.post("/tokens", tags=["tokens"], operation_id="create_token", summary="Make a token", status_code=201)
def create_token(request: Request, body: TokenRequest) -> Response[Any]:
    """`secret` is what a bearer sends; it is shown this once, only its hash is kept. Needs the scope `admin`."""
    clear, token = service.create_token(
        runtime.current().ports,
        caller_of(request),
        body.user,
        body.scopes,
        expires_in_seconds=body.expires_in_seconds,
        note=body.note,
    )
    shown = {"success": True, "message": "Token created", "token_id": token.id, "secret": clear, "token": _view(token)}
    return answer(shown, 201)


@router.get("/tokens", tags=["tokens"], operation_id="list_tokens", summary="The tenant's tokens, oldest first")
def list_tokens(request: Request) -> Response[Any]:
    """Revoked and expired ones too; secrets are not kept, so none is shown. Needs the scope `admin`."""
    only(request)
    found = service.list_tokens(runtime.current().ports, caller_of(request))
    return answer({"success": True, "message": "Tokens retrieved", "tokens": [_view(token) for token in found]})


@router.delete("/tokens/<token_id>", tags=["tokens"], operation_id="revoke_token", summary="Make a token useless")
def revoke_token(request: Request, token_id: str) -> Response[Any]:
    """It stays listed. In the cloud it may still be taken for as long as API Gateway remembers its authorizer."""
    token = service.revoke_token(runtime.current().ports, caller_of(request), token_id)
    return answer({"success": True, "message": "Token revoked", "token_id": token.id, "token": _view(token)})


def token_view(token: Token, now: Ms) -> dict[str, Any]:
    """A token, without its secret."""
    view = service.described(token, now)
    times = ("created_at", "expires_at", "revoked_at", "last_used_at")
    return {**view, **{name: format_time(view[name]) for name in times}}


def _view(token: Token) -> dict[str, Any]:
    return token_view(token, runtime.current().ports.now())
