"""`AuditLog`: appended to, in order, by whoever is first; and the acts that are written down."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from support.clock import START_MS
from support.homes import Home
from support.jobs import make_job
from tidegate.domain import guarded
from tidegate.domain.audit import NONE, AuditEntry, Head, verify
from tidegate.domain.caller import Caller
from tidegate.domain.errors import Conflict, InvalidInput, NotFound, TidegateError, Unavailable
from tidegate.domain.schedule import JobTemplate
from tidegate.ports import JobKey, JobQuery, Ports
from tidegate.service import control, definitions, letters, maintenance, policies, schedules, tokens, webhook_secrets
from tidegate.service.audit import audited, read_audit
from tidegate.service.maintenance import Action, Selection

ADA = Caller("acme", "ada", frozenset({"admin"}), "token:0123456789ab")


def entry(number: int, previous: str = NONE.hash, **fields: Any) -> AuditEntry:
    made = AuditEntry(
        tenant="acme",
        number=number,
        at=START_MS,
        user="ada",
        via="",
        action="job.cancel",
        target="j",
        previous=previous,
        details={"reason": "größer", "of": [1, 2.5, None, {"a": True}]},
    )
    made = replace(made, **fields)
    return replace(made, hash=made.digest())


def test_an_entry_is_read_as_it_was_appended(ports: Ports) -> None:
    assert ports.audit.head("acme") == NONE
    first = entry(1)
    second = entry(2, first.hash, details={})
    assert ports.audit.append_if_next(first)
    assert ports.audit.append_if_next(second)
    assert list(ports.audit.read("acme", 0, 10)) == [first, second]
    assert ports.audit.head("acme") == second.head
    assert (ports.audit.head("zeta"), list(ports.audit.read("zeta", 0, 10))) == (NONE, [])


def test_only_the_next_entry_is_appended(ports: Ports) -> None:
    first = entry(1)
    assert not ports.audit.append_if_next(entry(2, first.hash))
    assert ports.audit.append_if_next(first)
    for wrong in (entry(1, user="eve"), entry(2, "0" * 64), entry(3, first.hash), entry(0)):
        assert not ports.audit.append_if_next(wrong)
    assert list(ports.audit.read("acme", 0, 10)) == [first]


def test_it_is_read_in_both_directions_a_part_at_a_time(ports: Ports) -> None:
    made = [audited(ports, ADA, "job.cancel", str(number)) for number in range(1, 13)]
    assert [each.number for each in ports.audit.read("acme", 9, 2)] == [10, 11]
    assert [each.number for each in ports.audit.read_back("acme", 11, 3)] == [10, 9, 8]
    assert list(ports.audit.read("acme", 0, 100)) == made
    assert list(ports.audit.read_back("acme", 10**15, 100)) == made[::-1]


def test_who_may_not_operate_reads_nothing(ports: Ports) -> None:
    audited(ports, ADA, "job.cancel", "j")
    with pytest.raises(TidegateError, match="operate"):
        read_audit(ports, Caller("acme", "bob", frozenset({"read", "submit", "work"})))
    entries, head = read_audit(ports, Caller("zeta", "ada", frozenset({"admin"})))
    assert (list(entries), head) == ([], NONE)


def test_those_who_append_at_once_make_one_chain(home: Home) -> None:
    """Eight threads, ten acts each."""
    started = threading.Barrier(8)
    trouble: list[Exception] = []

    def act(number: int) -> None:
        started.wait()
        try:
            for _ in range(10):
                audited(home.ports, replace(ADA, user=f"u{number}"), "job.cancel", "j")
        except TidegateError as error:
            trouble.append(error)
        finally:
            home.ports.close()

    threads = [threading.Thread(target=act, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    found = list(home.ports.audit.read("acme", 0, 1_000))
    assert verify(found, "acme", head=home.ports.audit.head("acme")).fault is None
    assert {each.user for each in found} == {f"u{number}" for number in range(8)}
    assert len(found) == 80


def test_long_texts_are_cut_and_what_is_none_is_left_out(ports: Ports) -> None:
    made = audited(ports, ADA, "job.cancel", "j", reason="x" * 5_000, owner=None)
    assert made.details == {"reason": "x" * 500}


def waiting(ports: Ports) -> str:
    job = make_job(ports.new_id(), owner="ada", queue="default")
    ports.jobs.create([job])
    return job.id


def ended(ports: Ports) -> str:
    job_id = waiting(ports)
    (job,) = ports.jobs.get([JobKey("acme", job_id)])
    assert job is not None
    assert ports.jobs.apply([guarded.cancel_if_waiting(job, "x", ports.now())])[0].applied
    return job_id


def schedule(ports: Ports) -> str:
    job = JobTemplate(name="work", data="secret payload")
    schedules.create_schedule(ports, ADA, name="nightly", expression="0 2 * * *", job=job)
    return "nightly"


Acting = Callable[[Ports], object]
ACTS: dict[str, Acting] = {
    "job.cancel": lambda p: control.cancel(p, ADA, waiting(p), "why"),
    "job.retry": lambda p: control.retry(p, ADA, ended(p)),
    "job.reprioritise": lambda p: control.reprioritise(p, ADA, waiting(p), 9),
    "job.erase": lambda p: control.erase(p, ADA, ended(p)),
    "queue.put": lambda p: policies.put_queue(p, ADA, "mail", {"retry_limit": 1}),
    "queue.patch": lambda p: policies.patch_queue(p, ADA, "default", {"retry_limit": 1}),
    "queue.pause": lambda p: policies.pause_queue(p, ADA, "default", "why"),
    "queue.resume": lambda p: policies.resume_queue(p, ADA, "default"),
    "definition.put": lambda p: definitions.put_definition(p, ADA, "mail", schema=None, job={}, description=""),
    "webhook.rotate": lambda p: webhook_secrets.rotate_secret(p, ADA, "default"),
    "schedule.create": schedule,
    "schedule.change": lambda p: schedules.change_schedule(
        p, ADA, schedule(p), lambda seen: {"job": JobTemplate(name="work", data="secret payload too")}
    ),
    "schedule.enable": lambda p: schedules.enable_schedule(p, ADA, schedule(p)),
    "schedule.disable": lambda p: schedules.disable_schedule(p, ADA, schedule(p), "why"),
    "schedule.delete": lambda p: schedules.delete_schedule(p, ADA, schedule(p)),
    "schedule.trigger": lambda p: schedules.trigger_schedule(p, ADA, schedule(p)),
    "schedule.pause_all": lambda p: schedules.hold_schedules(p, ADA, "why"),
    "schedule.resume_all": lambda p: schedules.release_schedules(p, ADA),
    "token.create": lambda p: tokens.create_token(p, ADA, "bob", ["read"]),
    "token.revoke": lambda p: tokens.revoke_token(p, ADA, tokens.create_token(p, ADA, "bob", ["read"])[1].id),
    "maintenance.purge": lambda p: maintenance.maintain(p, ADA, Action.PURGE, Selection(all=True), confirm=True),
    "maintenance.archive": lambda p: maintenance.maintain(p, ADA, Action.ARCHIVE, Selection(tag="x"), confirm=True),
    "maintenance.retry": lambda p: maintenance.maintain(p, ADA, Action.RETRY, Selection(all=True), confirm=True),
}


@pytest.mark.parametrize("action", ACTS)
def test_an_act_is_written_down_with_who_did_it(ports: Ports, action: str) -> None:
    ACTS[action](ports)
    found = list(ports.audit.read("acme", 0, 10))
    assert [each.action for each in found][-1] == action
    assert all((each.user, each.via) == ("ada", "token:0123456789ab") for each in found)
    assert "secret" not in repr(found)
    assert verify(found, "acme", head=ports.audit.head("acme")).fault is None


def everything(ports: Ports) -> Any:
    """All that an act could change."""
    found = (
        ports.jobs.page(JobQuery(tenant="acme")).jobs,
        ports.queues.list("acme"),
        ports.definitions.list("acme"),
        ports.webhook_secrets.get("acme", "default"),
        ports.schedules.list("acme", "", 10),
        ports.schedules.hold_of("acme"),
        ports.tokens.list("acme"),
    )
    return repr(found)


class Silent:
    """An audit log that is out of reach, from the second entry on if so wished."""

    def __init__(self, ports: Ports, first: bool) -> None:
        self._ports = ports
        self._left = int(first)
        self.seen: Any = None

    def head(self, tenant: str) -> Head:
        if self._left == 0:
            self.seen = everything(self._ports)
            raise Unavailable
        self._left -= 1
        return self._ports.audit.head(tenant)

    def append_if_next(self, made: AuditEntry) -> bool:
        return self._ports.audit.append_if_next(made)


SECOND = {
    "schedule.change",
    "schedule.enable",
    "schedule.disable",
    "schedule.delete",
    "schedule.trigger",
    "token.revoke",
}


@pytest.mark.parametrize("action", ACTS)
def test_what_cannot_be_written_down_is_not_done(ports: Ports, action: str) -> None:
    silent = Silent(ports, action in SECOND)
    with pytest.raises(Unavailable):
        ACTS[action](replace(ports, audit=silent))  # type: ignore[arg-type]
    assert silent.seen is not None
    assert everything(ports) == silent.seen


@pytest.mark.parametrize(
    "act",
    [
        lambda p: control.cancel(p, ADA, "none"),
        lambda p: control.retry(p, ADA, waiting(p)),
        lambda p: control.erase(p, ADA, waiting(p)),
        lambda p: policies.patch_queue(p, ADA, "none", {}),
        lambda p: policies.patch_queue(p, ADA, "default", {"pool": "none"}),
        lambda p: schedules.delete_schedule(p, ADA, "none"),
        lambda p: tokens.revoke_token(p, ADA, "none"),
        lambda p: maintenance.maintain(p, ADA, Action.RETRY, Selection(), confirm=True),
        lambda p: maintenance.maintain(p, ADA, Action.PURGE, Selection(all=True), confirm=False),
        lambda p: letters.redrive(p, ADA, None, drop=True, confirm=True),
        lambda p: control.cancel_by_rule(p, ADA, waiting(p), "by rule"),
    ],
)
def test_what_is_refused_only_looked_at_or_done_by_a_rule_is_not_written_down(ports: Ports, act: Acting) -> None:
    with suppress(NotFound, Conflict, InvalidInput):
        act(ports)
    assert ports.audit.head("acme") == NONE
