"""The audit log over the whole way: acts over HTTP, read and checked by clients; what is planted is found."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from commands import Run, command_line
from gateway import Api

from home import Home
from support.inprocess import InProcess, client_of
from tidegate.cli import session
from tidegate.client import AsyncClient, AuditHead, Client
from tidegate.domain.errors import Forbidden
from tidegate.service.tokens import new_token

OPERATOR = Api(user="olga", scopes="operate submit read")


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    clear, token = new_token(home.clock.now(), tenant="main", user="olga", scopes=["operate", "submit", "read"])
    home.ports.tokens.put(token)
    with client_of(home.app, clear) as made:
        yield made


@pytest.fixture
def acts(client: Client) -> None:
    """Five acts."""
    job = client.submit("work", {"secret": "payload"})
    client.set_priority(job.id, 9)
    client.cancel(job.id, "no longer needed")
    client.retry(job.id)
    client.pause_queue("default", "maintenance")
    client.resume_queue("default")


@pytest.mark.usefixtures("acts")
def test_acts_are_told_newest_first_and_submissions_are_not_among_them(client: Client) -> None:
    found = list(client.audit())
    assert [entry.action for entry in found] == [
        "queue.resume",
        "queue.pause",
        "job.retry",
        "job.cancel",
        "job.reprioritise",
    ]
    assert {(entry.user, entry.via[:6]) for entry in found} == {("olga", "token:")}
    assert found[3].details == {"reason": "no longer needed"}
    assert [entry.number for entry in client.audit(max_entries=2)] == [5, 4]


@pytest.mark.usefixtures("api")
def test_an_act_on_several_jobs_is_one_entry_that_names_those_it_was_done_to(client: Client) -> None:
    for job_id in ("a", "b"):
        client.submit("work", job_id=job_id)
    bulk = {"action": "priority", "job_ids": ["a", "missing", "b"], "priority": 9}
    assert OPERATOR.post("/jobs/bulk", bulk).body["done"] == ["a", "b"]
    assert OPERATOR.post("/jobs/bulk", {"action": "cancel", "job_ids": ["missing"]}).body["done"] == []
    (entry,) = client.audit()
    assert (entry.action, entry.target) == ("job.reprioritise", "")
    assert entry.details == {"priority": 9, "targets": ["a", "b"]}


@pytest.mark.usefixtures("acts")
def test_a_whole_log_is_found_whole_and_goes_on_from_a_noted_head(client: Client) -> None:
    first = client.verify_audit()
    assert (first.checked, first.fault) == (5, None)
    client.pause_queue("default")
    second = client.verify_audit(first.head)
    assert (second.checked, second.head.number, second.fault) == (1, 6, None)
    assert client.verify_audit(second.head).checked == 0


def test_an_empty_log_is_whole(client: Client) -> None:
    assert list(client.audit()) == []
    assert (client.verify_audit().checked, client.verify_audit().fault) == (0, None)


Plant = Callable[[sqlite3.Connection], object]
PLANTED: dict[str, tuple[Plant, str]] = {
    "a change": (
        lambda c: c.execute("UPDATE audit SET entry = json_set(entry, '$.user', 'eve') WHERE number = 3"),
        "entry 3 was changed",
    ),
    "a change of what it was about": (
        lambda c: c.execute("UPDATE audit SET entry = json_set(entry, '$.details.reason', 'x') WHERE number = 2"),
        "entry 2 was changed",
    ),
    "a removal": (lambda c: c.execute("DELETE FROM audit WHERE number = 2"), "entry 2 is missing"),
    "a removal of the first": (lambda c: c.execute("DELETE FROM audit WHERE number = 1"), "entry 1 is missing"),
    "a removal of the last": (lambda c: c.execute("DELETE FROM audit WHERE number = 5"), "entry 5 is missing"),
    "a removal of all": (lambda c: c.execute("DELETE FROM audit"), "entry 1 is missing"),
    "an exchange": (
        lambda c: c.executescript(
            "CREATE TEMP TABLE two AS SELECT number, entry FROM audit WHERE number IN (2, 3);"
            "UPDATE audit SET entry = (SELECT entry FROM two WHERE two.number = 5 - audit.number) "
            "WHERE number IN (2, 3);"
        ),
        "entry 2 is missing: entry 3 follows entry 1",
    ),
}


def planted(home: Home, plant: Plant) -> None:
    """Do to the file what someone who can write it might."""
    path = Path(str(home.app.settings.data)) / "tidegate.db"
    with sqlite3.connect(path) as connection:
        connection.executescript("DROP TRIGGER audit_unchanged; DROP TRIGGER audit_kept;")
        plant(connection)
    connection.close()


@pytest.mark.usefixtures("acts")
@pytest.mark.parametrize("what", PLANTED)
def test_what_was_planted_is_found(home: Home, client: Client, what: str) -> None:
    plant, told = PLANTED[what]
    planted(home, plant)
    verdict = client.verify_audit()
    assert verdict.fault is not None
    assert verdict.fault.startswith(told)


@pytest.mark.usefixtures("acts")
def test_a_cut_log_whose_head_was_cut_too_is_found_by_a_noted_head(home: Home, client: Client) -> None:
    noted = client.verify_audit().head
    planted(
        home,
        lambda c: c.executescript(
            "DELETE FROM audit WHERE number > 3; UPDATE audit_heads SET number = 3, "
            "hash = (SELECT hash FROM audit WHERE number = 3);"
        ),
    )
    assert client.verify_audit().fault is None
    assert client.verify_audit(noted).fault == "the log does not go on from entry 5 as it was noted"


@pytest.mark.usefixtures("acts")
def test_the_table_itself_refuses_to_be_changed_or_cut(home: Home) -> None:
    path = Path(str(home.app.settings.data)) / "tidegate.db"
    connection = sqlite3.connect(path)
    for sql in ("UPDATE audit SET hash = ''", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="audit log"):
            connection.execute(sql)
    connection.close()


@pytest.mark.usefixtures("acts")
def test_the_client_for_asyncio_reads_and_checks_alike(home: Home, client: Client) -> None:
    inner = InProcess(home.app)

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return inner.handle_request(request)

    async def read() -> tuple[list[Any], Any, Any]:
        async with AsyncClient("http://home.test", client.endpoint.token, transport=Transport()) as asked:
            entries = [entry async for entry in asked.audit(max_entries=4)]
            return entries, await asked.verify_audit(), await asked.verify_audit(AuditHead(5, "0" * 64))

    entries, whole, other = asyncio.run(read())
    assert entries == list(client.audit(max_entries=4))
    assert whole == client.verify_audit()
    assert other.fault == "the log does not go on from entry 5 as it was noted"


@pytest.mark.parametrize("query", ["after=0&before=1", "limit=0", "limit=1001", "before=0", "after=-1", "since=1"])
def test_a_question_that_cannot_be_meant_is_refused(api: Api, query: str) -> None:
    assert OPERATOR.get("/audit", query).status == 422


def test_who_may_not_operate_reads_nothing(home: Home) -> None:
    clear, token = new_token(home.clock.now(), tenant="main", user="ada", scopes=["submit", "read", "work"])
    home.ports.tokens.put(token)
    with client_of(home.app, clear) as client, pytest.raises(Forbidden):
        list(client.audit())


@pytest.fixture
def run(client: Client, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(session.Session, "client", lambda self, tries=4: client_of(home.app, client.endpoint.token))
    return command_line(capsys, "audit")


@pytest.mark.usefixtures("acts")
def test_the_command_line_lists_and_filters(run: Run) -> None:
    code, out, _ = run("list", "--limit", "3")
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, ["Number", "5", "4", "3"])
    assert [each["number"] for each in json.loads(run("list", "--action", "job.", "--json")[1])] == [3, 2, 1]
    assert json.loads(run("list", "--user", "nobody", "--json")[1]) == []


@pytest.mark.usefixtures("acts")
def test_the_command_line_checks_and_finds_what_was_planted(home: Home, run: Run) -> None:
    code, out, _ = run("verify")
    head = out.split()[-1]
    assert (code, out) == (0, f"✅ 5 entries are whole\nHead: {head}\n")
    assert run("verify", "--since", head)[0] == 0
    assert run("verify", "--since", "5")[0] == 2
    planted(home, PLANTED["a change"][0])
    told = "❌ entry 3 was changed: its hash does not fit what it says\n2 entries before it are whole\n"
    assert run("verify") == (1, told, "")
    found = json.loads(run("verify", "--json")[1])
    assert (found["whole"], found["checked"]) == (False, 2)
