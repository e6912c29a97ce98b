"""Requests made out of the API's own description, fitting and not fitting it, sent to the running embedded server.

None may be answered with a server's error, nor with anything that the description does not say; without a valid token
none may be answered at all. `make fuzz` sends more, other ones each time.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from matrix import DESCRIPTION, OWNER, THINGS, bearer, furnish

from home import Clock, Home
from support.served import served
from tidegate import runtime

if TYPE_CHECKING:
    from schemathesis import Case

EXAMPLES = int(os.environ.get("TIDEGATE_FUZZ_EXAMPLES", "3"))
SEED = int(os.environ.get("TIDEGATE_FUZZ_SEED", "1"))
"""The same requests each time, unless told otherwise."""
ALLOWED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def described() -> Iterator[tuple[str, str]]:
    """Every operation but the one whose answer never ends: method and path."""
    for path, methods in DESCRIPTION["paths"].items():
        for method in methods:
            if path != "/events":
                yield method.upper(), path


NAMES = [" ".join(each) for each in described()]
INVALID = ("", "Bearer tg_0123456789ab_" + "A" * 43, "Bearer eyJhbGciOiJub25lIn0.e30.", "Basic YTpi")


class Server:
    """The embedded server's own application behind a socket, and tokens for it."""

    def __init__(self, home: Home, url: str) -> None:
        self.url = url
        self.admin = bearer(home, OWNER, "ada", "admin")
        self._session = requests.Session()

    def ask(self, case: Case[Any], authorization: str) -> requests.Response | None:
        """The answer; None for a request that HTTP cannot carry."""
        request = self._request(case)
        request.headers = {**(request.headers or {}), "authorization": authorization}
        try:
            return self._session.send(self._session.prepare_request(request), timeout=20)
        except (requests.exceptions.InvalidHeader, UnicodeError):
            return None

    def _request(self, case: Case[Any]) -> requests.Request:
        wanted = case.as_transport_kwargs(base_url=self.url)
        names = ("method", "url", "headers", "params", "json", "data")
        return requests.Request(**{name: wanted[name] for name in names if name in wanted})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    clock = Clock()
    app = runtime.embedded(tmp_path_factory.mktemp("fuzz"), now=clock.now, rng=random.Random(1))
    home = Home(app, clock)
    furnish(home)
    with served(app) as port:
        yield Server(home, f"http://127.0.0.1:{port}")
    home.close()


@pytest.fixture(scope="module")
def operations() -> Mapping[str, Any]:
    """What makes requests for each operation; importing it takes long, so that it is left to who runs these tests."""
    from schemathesis.core.result import Ok
    from schemathesis.openapi import from_dict

    found = [each.ok() for each in from_dict(dict(DESCRIPTION)).get_all_operations() if isinstance(each, Ok)]
    return {f"{operation.method.upper()} {operation.path}": operation for operation in found}


def cases(operation: Any, mode: str) -> Iterator[Case[Any]]:
    """Requests for an operation, every other one for a thing that is there; `mode` is `positive` or `negative`."""
    from schemathesis import GenerationMode

    made: list[Case[Any]] = []

    @seed(SEED)
    @ALLOWED
    @given(case=operation.as_strategy(generation_mode=GenerationMode(mode)))
    def make(case: Case[Any]) -> None:
        made.append(case)

    make()
    rng = random.Random(SEED)
    for number, case in enumerate(made):
        if number % 2 and case.path_parameters:
            case.path_parameters = {name: rng.choice(THINGS[name]) for name in case.path_parameters}
        yield case


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_is_as_described(server: Server, operations: Mapping[str, Any], name: str) -> None:
    from schemathesis.core.transport import Response

    operation = operations[name]
    for mode in ("positive", "negative"):
        for case in cases(operation, mode):
            answer = server.ask(case, server.admin)
            if answer is None:
                continue
            told = f"{answer.request.method} {answer.request.url} {answer.request.body!r}: {answer.text[:500]}"
            assert answer.status_code < 500 or answer.status_code == 501, told
            operation.validate_response(Response.from_requests(answer, verify=False))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_answered_without_a_valid_token(server: Server, operations: Mapping[str, Any], name: str) -> None:
    for case, authorization in zip(cases(operations[name], "positive"), INVALID, strict=False):
        answer = server.ask(case, authorization)
        assert answer is None or answer.status_code == 401, authorization
