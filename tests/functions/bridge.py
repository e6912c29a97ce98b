"""The client and the command line, talking to the API's function in this process."""

from __future__ import annotations

from typing import TypeVar

import httpx
from gateway import Api

from tidegate.client import Client, Retries

Made = TypeVar("Made", bound=Client)


def client_of(api: Api) -> Client:
    """A client whose requests `api` answers."""
    return made_of(api, Client)


def made_of(api: Api, kind: type[Made]) -> Made:
    """A client of this kind whose requests `api` answers."""

    def answer(request: httpx.Request) -> httpx.Response:
        found = api.call(
            request.method,
            request.url.path,
            request.content.decode() or None,
            query=request.url.query.decode(),
        )
        return httpx.Response(found.status, headers=found.headers, text=found.text)

    return kind("http://tidegate.test", "tg", transport=httpx.MockTransport(answer), retries=Retries(tries=1))
