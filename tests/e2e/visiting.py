"""A visitor of the console: pages gone to, jobs that wait to be looked at, tokens to sign in with."""

from __future__ import annotations

from typing import Any

from embedded import Server
from webdriver import Browser

from tidegate import Client, runtime
from tidegate.service.tokens import new_token

EVERYWHERE = ("/", "/jobs", "/runs", "/schedules", "/queues", "/workers", "/costs", "/dead", "/audit", "/tokens")
"""The pages of the rail."""


def visit(browser: Browser, server: Server, path: str) -> None:
    """Go to a page of the console and wait until it shows what it found."""
    browser.open(f"{server.url}/console{path}")
    browser.find("h1")
    browser.gone("main [aria-busy=true]")


def sign_in(browser: Browser, server: Server, token: str) -> None:
    """Have the tab keep a token, and nothing else."""
    browser.open(f"{server.url}/console/")
    browser.find(".shell, .signin")  # by now the page has kept the token that it had, and keeps no other
    browser.run("sessionStorage.setItem('tidegate.token', arguments[0]); localStorage.clear()", token)


def token_of(server: Server) -> str:
    """The admin's token."""
    return (server.data / "token").read_text().strip()


def token_for(server: Server, user: str, *scopes: str) -> str:
    """A fresh token of the server's home."""
    ports = runtime.embedded(server.data).ports
    clear, token = new_token(ports.now(), tenant="main", user=user, scopes=scopes)
    ports.tokens.put(token)
    ports.close()
    return clear


def waiting(client: Client, queue: str, number: int = 1, **fields: Any) -> list[str]:
    """Jobs that wait in a paused queue of their own."""
    client.put_queue(queue)
    client.pause_queue(queue, "the tests look at it")
    return list(client.submit_many({"name": "echo", "queue": queue, **fields} for _ in range(number)).accepted)
