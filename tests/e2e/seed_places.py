"""The two homes as who begins with Tidegate has them: an address, a token, the command line."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloud import token

from tidegate import Client
from tidegate.cli.main import main
from tidegate.runtime import App

HANDLERS = Path(__file__).with_name("seed_handlers.py")
UNMANNED = "gpu"
"""A pool that neither home has workers of its own for."""
Shell = Callable[..., str]
Newcomer = Callable[[str], "tuple[User, Shell]"]
"""A tenant to an admin of it, and to its command line."""


@dataclass(frozen=True)
class Place:
    """One home. `slots` is how many jobs it runs at once; `minute` does what its clock does each minute.

    `itself` are the options that name it to commands which need no server.
    """

    url: str
    itself: str
    app: App
    slots: int
    minute: Callable[[], Any]

    def user(self, tenant: str, *scopes: str) -> User:
        """A user of a tenant, an admin unless scopes are given."""
        return User(self, tenant, token(self.app, tenant=tenant, scopes=list(scopes) or ["admin"]))


class User:
    """Whoever has a token of a place: HTTP and the Python client."""

    def __init__(self, place: Place, tenant: str, token: str) -> None:
        self.place = place
        self.tenant = tenant
        self.token = token
        headers = {"authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=place.url, headers=headers, timeout=30)
        self.client = Client(place.url, token)

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        """What the server answers to a body."""
        answer = self.http.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, path: str, **query: Any) -> Any:
        """What the server answers."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()
        self.client.close()


def shell(user: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """`tidegate …` as the user types it: what it prints, once it ended with `code`."""
    monkeypatch.setenv("TIDEGATE_URL", user.place.url)
    monkeypatch.setenv("TIDEGATE_TOKEN", user.token)

    def run(line: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(line))
        out, err = capsys.readouterr()
        assert (ended.value.code or 0) == code, f"{line}: {out}{err}"
        return out + err

    return run
