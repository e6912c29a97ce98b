"""The matrix of who may do what: every route of the description × every way not to be allowed, in both homes.

`python -m pytest tests/functions/test_matrix.py -s` prints it.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest
from matrix import (
    DESCRIPTION,
    JOBS,
    MARK,
    OWNER,
    RUN,
    Answer,
    Asked,
    Stored,
    ask,
    bearer,
    furnish,
    requests,
    things_of,
    with_issuer,
)
from tidegate_functions.api.scopes import NEEDED

from home import Clock, Home
from support.aws import JOBS as JOBS_TABLE
from support.aws import REGISTRY, Cloud
from support.homes import KINDS
from support.issuer import forged
from tidegate import runtime
from tidegate.domain.caller import Scope
from tidegate.runtime import App
from tidegate.settings import Settings

ASKED = list(requests())
OPERATIONS = {asked.operation for asked in ASKED}
SHARED = frozenset({"get_queue", "list_queues", "list_workers", "get_definition", "list_definitions"})
"""Operations on what belongs to a tenant as a whole, not to a user of it."""
MAKE_OWN = frozenset({"put_queue", "put_worker", "put_definition"})
"""Operations that make what their path names."""
ECHOING = frozenset({"bulk"})
"""Operations that answer the ids that they were given, whether there are such things or not."""


@dataclass(frozen=True)
class World:
    """A home with one thing of every kind of the tenant `acme`, and what is stored of that tenant."""

    home: Home
    app: App
    stored: Stored

    def ask(self, asked: Asked, authorization: str | None) -> Answer:
        return ask(self.app, asked, authorization)

    def token(self, tenant: str, user: str, *scopes: str, **fields: int) -> str:
        return bearer(self.home, tenant, user, *scopes, **fields)


@pytest.fixture(scope="module", params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Made once for the module: nothing that is refused changes it."""
    if request.param == "aws":
        yield _in_cloud(request.getfixturevalue("aws"))
        return
    clock = Clock()
    app = runtime.embedded(tmp_path_factory.mktemp("matrix"), now=clock.now, rng=random.Random(1))
    home = Home(app, clock)
    furnish(home)
    yield World(home, with_issuer(home), lambda: things_of(_rows(app)))
    home.close()


def _in_cloud(cloud: Cloud) -> World:
    ports = cloud.reset()
    home = _CloudHome(App(ports, Settings(stage="dev", pools={"default": {}})), cloud.clock)
    furnish(home)

    def stored() -> frozenset[str]:
        scans = [cloud.clients.dynamodb.scan(TableName=name)["Items"] for name in (JOBS_TABLE, REGISTRY)]
        return things_of([json.dumps(item, sort_keys=True) for items in scans for item in items])

    return World(home, with_issuer(home), stored)


class _CloudHome(Home):
    def pump(self) -> bool:
        """Nothing here looks at figures."""
        return False


def _rows(app: App) -> list[str]:
    database = app.ports.jobs._database  # type: ignore[attr-defined]
    tables = [name for (name,) in database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [f"{name} {row}" for name in tables for row in database.rows(f"SELECT * FROM {name}")]


@pytest.fixture(scope="module", autouse=True)
def printed() -> Iterator[Counter[tuple[str, str]]]:
    """How many requests of each case told nothing and changed nothing, printed at the end."""
    counts: Counter[tuple[str, str]] = Counter()
    yield counts
    lines = [f"{kind:16}{case:42}{count} of {count} denied" for (kind, case), count in sorted(counts.items())]
    total = sum(counts.values())
    sys.stdout.write("\n".join(["", *lines, f"{len(OPERATIONS)} operations: {total} of {total} denied", ""]))


def test_every_operation_says_which_scope_it_needs_and_no_other_does() -> None:
    """A new route needs an entry in functions/api/scopes.py."""
    assert set(NEEDED) == OPERATIONS
    for methods in DESCRIPTION["paths"].values():
        for operation in methods.values():
            scope = NEEDED[operation["operationId"]]
            assert operation["security"] == [{"bearer": [] if scope is None else [scope.value]}]


def test_there_is_a_thing_of_every_kind_and_its_user_sees_it(world: World) -> None:
    """Or else nothing below would prove anything."""
    ada = world.token(OWNER, "ada", "read", "operate", "admin")
    for asked in ASKED:
        if NEEDED[asked.operation] is not Scope.WORK and asked.method == "GET" and asked.operation != "stream_events":
            answer = world.ask(asked, ada)
            assert answer.status == 200, asked
    for path in ("/jobs", "/schedules", "/dags", "/queues", "/tokens", f"/jobs/{JOBS[2]}", f"/jobs/{JOBS[2]}/logs"):
        assert MARK in world.ask(Asked("", "GET", path, (), b""), ada).text, path
    assert MARK in world.ask(Asked("", "GET", "/maintenance/dead-letters", (), b""), ada).text
    assert RUN in world.ask(Asked("", "GET", "/dags", (), b""), ada).text


def unproven(world: World) -> Mapping[str, str | None]:
    """Headers that prove nothing. Each would be an admin's of the tenant if it were believed."""
    now = world.home.clock.now()
    good = world.token(OWNER, "ada", "admin")
    token_id = good.split("_")[1]
    return {
        "no header": None,
        "empty": "",
        "scheme alone": "Bearer",
        "scheme alone, with a space": "Bearer ",
        "another scheme": good.replace("Bearer", "Basic"),
        "without the scheme": good.removeprefix("Bearer "),
        "malformed": "Bearer tg_!",
        "cut": good[:-1],
        "too long": good + "x",
        "twice": f"{good},{good}",
        "forged secret": f"Bearer tg_{token_id}_{'A' * 43}",
        "unknown id": f"Bearer tg_{'0' * 12}_{good[-43:]}",
        "expired": world.token(OWNER, "ada", "admin", expires_at=now),
        "revoked": world.token(OWNER, "ada", "admin", revoked_at=now),
        **{f"JWT: {name}": f"Bearer {token}" for name, token in forged(now).items()},
    }


def test_who_proves_nothing_is_nobody(world: World, printed: Counter[tuple[str, str]]) -> None:
    headers = unproven(world)
    before = world.stored()
    for asked in ASKED:
        for case, header in headers.items():
            answer = world.ask(asked, header)
            assert answer.status == 401, (str(asked), case)
            assert json.loads(answer.text)["code"] == "UNAUTHENTICATED"
            assert OWNER not in answer.text
            printed["unproven", case] += 1
    assert world.stored() == before


@pytest.mark.parametrize("scope", Scope)
def test_a_token_without_the_scope_is_forbidden(world: World, printed: Counter[tuple[str, str]], scope: Scope) -> None:
    """It has every other scope, and is of the very user who owns the things."""
    others = [other for other in Scope if other not in (scope, Scope.ADMIN)]
    header = world.token(OWNER, "ada", *others)
    before = world.stored()
    for asked in ASKED:
        if NEEDED[asked.operation] is scope:
            answer = world.ask(asked, header)
            assert answer.status == 403, str(asked)
            found = json.loads(answer.text)
            assert (found["code"], found["details"]) == ("FORBIDDEN", {"scope": scope.value}), str(asked)
            printed["wrong scope", f"all but {scope}"] += 1
    assert world.stored() == before


def test_another_tenants_admin_finds_nothing_and_changes_nothing(
    world: World, printed: Counter[tuple[str, str]]
) -> None:
    header = world.token("zeta", "ada", "admin")
    before = world.stored()
    for asked in sorted(ASKED, key=lambda each: each.operation in MAKE_OWN):  # which is found thereafter
        answer = world.ask(asked, header)
        assert MARK not in answer.text, str(asked)
        named = [name for name in asked.names if name not in ("ACTIVE",)]
        if named and asked.operation not in MAKE_OWN:
            assert answer.status == 404, (str(asked), answer.text)
        elif asked.operation == "stream_events":
            assert answer.status == 501
        else:
            assert answer.status < 300, (str(asked), answer.text)
            assert OWNER not in answer.text or asked.operation in MAKE_OWN | ECHOING, str(asked)
        printed["another tenant", "an admin there"] += 1
        if asked.method != "GET":
            now = world.stored()
            assert before <= now, str(asked)
            assert all("zeta" in made for made in now - before), str(asked)


def test_another_user_of_the_tenant_finds_nothing_of_hers_and_changes_nothing(
    world: World, printed: Counter[tuple[str, str]]
) -> None:
    header = world.token(OWNER, "bob", "submit", "read")
    before = world.stored()
    for asked in ASKED:
        answer = world.ask(asked, header)
        scope = NEEDED[asked.operation]
        if scope in (Scope.WORK, Scope.OPERATE, Scope.ADMIN):
            assert answer.status == 403, str(asked)
        elif asked.operation not in SHARED:
            assert MARK not in answer.text, str(asked)
            if any(name != "ACTIVE" for name in asked.names):
                assert answer.status == 404, (str(asked), answer.text)
        printed["another user", "with submit and read"] += 1
        if asked.method != "GET":
            assert before <= world.stored(), str(asked)


@pytest.mark.parametrize("field", ["tenant", "owner", "user", "state", "attempt", "scopes", "id", "created_at"])
def test_no_body_says_who_asks_or_what_has_become_of_a_thing(world: World, field: str) -> None:
    header = world.token("zeta", "eve", "admin")
    before = world.stored()
    for asked in ASKED:
        own = json.loads(asked.body) if asked.body else {}
        if not asked.body or field in own or (asked.operation, field) == ("create_token", "scopes"):
            continue
        claimed = replace(asked, body=json.dumps({**own, field: OWNER}).encode())
        answer = world.ask(claimed, header)
        known = (asked.operation, field) in {("create_token", "user"), ("submit_dag", "id")}
        assert answer.status in ((404, 422) if not known else (201, 422)), (str(asked), answer.text)
    assert world.stored() == before
