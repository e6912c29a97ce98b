"""Purge, archive, retry, reset and retention, in both homes; and what a death at any point leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from support.clock import START_MS
from support.homes import Home
from support.jobs import make_job
from tidegate.domain import guarded
from tidegate.domain.caller import Caller
from tidegate.domain.change import Change
from tidegate.domain.errors import Forbidden, InvalidInput, NotFound
from tidegate.domain.guard import Lease
from tidegate.domain.job import Job, State
from tidegate.domain.queue import Queue
from tidegate.domain.spec import JobSpec
from tidegate.domain.ticket import Lane
from tidegate.ports import JobKey, JobQuery, Ports, Timer
from tidegate.service.bury import put_aside
from tidegate.service.letters import Fate, list_letters, redrive
from tidegate.service.maintenance import Action, Maintained, Selection, maintain, reset_stuck
from tidegate.service.record_changes import record_changes
from tidegate.service.retention import retire
from tidegate.service.submit import submit_one

OLGA = Caller("acme", "olga", frozenset({"operate"}))
DAY = 86_400
ALL = Selection(all=True)
ENDED = (State.COMPLETED, State.FAILED, State.SKIPPED, State.EXPIRED, State.CANCELLED)


def filled(home: Home) -> list[Job]:
    """A job of each ended state and day, three of each, and one that waits; it is the fifth day."""
    jobs = [
        make_job(
            home.clock.new_id() if number % 2 else f"own-{number}",
            state=ENDED[number % 5],
            attempt=1,
            name=f"n{number % 2}",
            data={"n": number},
            result={"r": number},
            created_at=START_MS + number,
            updated_at=START_MS + number % 3 * DAY * 1000,
            completed_at=START_MS + number % 3 * DAY * 1000,
        )
        for number in range(15)
    ]
    home.ports.jobs.create([*jobs, make_job("waits")])
    home.clock.advance(5 * DAY)
    return jobs


def there(ports: Ports) -> set[str]:
    """Ids of all jobs of the tenant."""
    found, cursor = set(), None
    while True:
        page = ports.jobs.page(JobQuery(tenant="acme", cursor=cursor))
        found |= {job.id for job in page.jobs}
        cursor = page.next_cursor
        if cursor is None:
            return found


def archived(ports: Ports) -> list[dict[str, Any]]:
    """Every line of every archive."""
    keys = ports.blobs.list("archive/")
    return [json.loads(line) for key in keys for line in ports.blobs.get(key).decode().splitlines()]


def to_the_end(
    ports: Ports, action: Action, selection: Selection, *, confirm: bool = True, limit: int = 4
) -> Maintained:
    """Call after call, as a client would."""
    total = maintain(ports, OLGA, action, selection, confirm=confirm, limit=limit)
    while total.continuation is not None:
        more = maintain(ports, OLGA, action, selection, confirm=confirm, limit=limit, continuation=total.continuation)
        assert more.matched <= limit
        total = replace(
            more,
            matched=total.matched + more.matched,
            done=total.done + more.done,
            archives=total.archives + more.archives,
        )
    return total


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (ALL, lambda job: True),
        (Selection(states=frozenset({State.SKIPPED})), lambda job: job.state is State.SKIPPED),
        (Selection(states=frozenset({State.COMPLETED})), lambda job: job.state is State.COMPLETED),
        (Selection(older_than=4 * DAY), lambda job: job.completed_at <= START_MS + DAY * 1000),
        (Selection(older_than=4 * DAY + 1), lambda job: job.completed_at <= START_MS),
        (
            Selection(states=frozenset({State.FAILED}), older_than=4 * DAY, name="n1"),
            lambda job: job.state is State.FAILED and job.completed_at <= START_MS + DAY * 1000 and job.name == "n1",
        ),
        (Selection(queue="post"), lambda job: False),
    ],
)
@pytest.mark.parametrize("action", [Action.PURGE, Action.ARCHIVE])
def test_what_is_selected_goes_and_nothing_else(
    home: Home, action: Action, selection: Selection, wanted: Callable[[Job], bool]
) -> None:
    jobs = filled(home)
    going = {job.id for job in jobs if wanted(job)}
    dry = to_the_end(home.ports, action, selection, confirm=False)
    assert (dry.dry_run, dry.matched, dry.done, dry.archives) == (True, len(going), 0, ())
    assert there(home.ports) == {job.id for job in jobs} | {"waits"}
    done = to_the_end(home.ports, action, selection)
    assert (done.dry_run, done.matched, done.done) == (False, len(going), len(going))
    assert there(home.ports) == {job.id for job in jobs} - going | {"waits"}
    assert {line["id"] for line in archived(home.ports)} == (going if action is Action.ARCHIVE else set())
    assert to_the_end(home.ports, action, selection).matched == 0


def test_an_archive_has_every_field_and_the_large_values(home: Home) -> None:
    """By the day they ended, one line each; what was kept elsewhere is in it."""
    job = make_job(
        "big",
        state=State.COMPLETED,
        attempt=2,
        completed_at=START_MS,
        data_ref="acme/data",
        result_ref="acme/gone",
        tags=("ü",),
    )
    home.ports.blobs.put("acme/data", b'{"x": "y"}')
    home.ports.jobs.create([job])
    home.clock.advance(1)
    done = to_the_end(home.ports, Action.ARCHIVE, ALL)
    (key,) = done.archives
    assert key.startswith("archive/acme/2033-05-18/")
    (line,) = archived(home.ports)
    assert set(line) == {each.name for each in fields(Job)}
    assert (line["id"], line["state"], line["tags"], line["result_ref"]) == ("big", "COMPLETED", ["ü"], "acme/gone")


def test_an_archive_inlines_large_values(home: Home) -> None:
    job = make_job("big", state=State.COMPLETED, attempt=2, completed_at=START_MS, data_ref="acme/data")
    home.ports.blobs.put("acme/data", b'{"x": "y"}')
    home.ports.jobs.create([job])
    home.clock.advance(1)
    to_the_end(home.ports, Action.ARCHIVE, ALL)
    (line,) = archived(home.ports)
    assert (line["data"], line["data_ref"]) == ({"x": "y"}, None)


class Mortal:
    """A port that dies at the n-th call of all ports, before or after the call has taken effect."""

    def __init__(self, port: Any, fuse: list[int], *, after: bool) -> None:
        self._port = port
        self._fuse = fuse
        self._after = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._fuse[0] -= 1
            if self._fuse[0] < 0 and not self._after:
                raise SystemExit
            answer = method(*arguments, **named)
            if self._fuse[0] < 0:
                raise SystemExit
            return answer

        return call


def mortal(ports: Ports, calls: int, *, after: bool) -> Ports:
    fuse = [calls]
    names = ("jobs", "blobs", "upkeep", "tickets", "lanes")
    return replace(ports, **{name: Mortal(getattr(ports, name), fuse, after=after) for name in names})  # type: ignore[arg-type]


def deaths(home: Home, act: Callable[[Ports], object], *, after: bool) -> Iterator[int]:
    """Let `act` die at its first call, then at its second, and so on until it lives; yields after each death."""
    for calls in range(200):
        try:
            act(mortal(home.ports, calls, after=after))
        except SystemExit:
            yield calls
        else:
            return
    raise AssertionError("it never came to its end")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_nothing_is_lost_wherever_an_archive_dies(home: Home, after: bool) -> None:
    """At every moment each job is in the store or in an archive; in the end each is in the archive, once."""
    jobs = filled(home)
    died = 0
    for _ in deaths(home, lambda ports: to_the_end(ports, Action.ARCHIVE, ALL, limit=5), after=after):
        died += 1
        assert there(home.ports) | {line["id"] for line in archived(home.ports)} == {job.id for job in jobs} | {"waits"}
    assert died >= 3
    assert there(home.ports) == {"waits"}
    lines = {(line["id"], line["attempt"]): line["data"] for line in archived(home.ports)}
    assert lines == {(job.id, 1): job.data for job in jobs}


def test_a_job_that_runs_again_while_it_is_archived_is_kept(home: Home) -> None:
    job = make_job("job", state=State.FAILED, attempt=1, completed_at=START_MS)
    home.ports.jobs.create([job])
    home.clock.advance(10)

    class Meddler:
        def put(self, key: str, content: bytes) -> None:
            home.ports.blobs.put(key, content)
            home.ports.jobs.apply([guarded.restart_if_ended(job, home.clock.now())])

    done = maintain(replace(home.ports, blobs=Meddler()), OLGA, Action.ARCHIVE, ALL, confirm=True)  # type: ignore[arg-type]
    assert (done.matched, done.done) == (1, 0)
    assert there(home.ports) == {"job"}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_jobs_started_over_are_found_wherever_it_dies(home: Home, after: bool) -> None:
    """A ready job stands in a lane that the clock knows, so a ticket that was not sent is sent later."""
    jobs = [job for job in filled(home) if job.state is State.FAILED]
    for _ in deaths(home, lambda ports: to_the_end(ports, Action.RETRY, ALL, limit=2), after=after):
        ready = {key.job_id for key in home.ports.jobs.head(Lane("acme", "mail"), 50)} - {"waits"}
        assert not ready or Lane("acme", "mail") in {lane for lane, _ in home.ports.lanes.all()}
    found = home.ports.jobs.get([JobKey("acme", job.id) for job in jobs])
    assert [job.state for job in found if job] == [State.CREATED] * len(jobs)


def test_many_are_started_over_by_filter(home: Home) -> None:
    jobs = filled(home)
    done = to_the_end(home.ports, Action.RETRY, Selection(states=frozenset({State.EXPIRED, State.CANCELLED})))
    states = {job.state for job in jobs if job.state in {State.EXPIRED, State.CANCELLED}}
    assert done.done == done.matched == len([job for job in jobs if job.state in states])
    ready = {key.job_id for key in home.ports.jobs.head(Lane("acme", "mail"), 50)}
    assert ready == {job.id for job in jobs if job.state in states} | {"waits"}
    assert sum(depth.visible for depth in home.ports.tickets.depth("default").values()) == done.done


@pytest.mark.parametrize(
    ("action", "state"),
    [
        (Action.PURGE, State.ACTIVE),
        (Action.ARCHIVE, State.CREATED),
        (Action.RETRY, State.COMPLETED),
        (Action.RETRY, State.SKIPPED),
    ],
)
def test_states_that_an_action_does_not_take_are_refused(ports: Ports, action: Action, state: State) -> None:
    with pytest.raises(InvalidInput, match="states"):
        maintain(ports, OLGA, action, Selection(states=frozenset({state})), confirm=True)


def test_no_filter_at_all_must_be_meant() -> None:
    with pytest.raises(InvalidInput, match="all"):
        Selection()
    assert Selection(older_than=0).older_than == 0


@pytest.mark.parametrize("text", ["x", "", "bnVsbA", "WzEsMl0", "WyJhIiwiYiJd"])
def test_a_continuation_of_something_else_is_refused(ports: Ports, text: str) -> None:
    with pytest.raises(InvalidInput, match="continuation"):
        maintain(ports, OLGA, Action.PURGE, ALL, confirm=True, continuation=text)


def test_another_tenants_jobs_stay(home: Home) -> None:
    filled(home)
    zoe = Caller("zeta", "zoe", frozenset({"operate"}))
    assert maintain(home.ports, zoe, Action.PURGE, ALL, confirm=True).matched == 0
    assert len(there(home.ports)) == 16


def test_the_scope_operate_is_needed(ports: Ports) -> None:
    ann = Caller("acme", "ann", frozenset({"submit", "read", "work"}))
    for act in (
        lambda: maintain(ports, ann, Action.PURGE, ALL, confirm=False),
        lambda: reset_stuck(ports, ann, 1, confirm=False),
        lambda: list_letters(ports, ann),
        lambda: redrive(ports, ann, None, drop=False, confirm=False),
    ):
        with pytest.raises(Forbidden):
            act()


def running(home: Home, job_id: str) -> Job:
    home.ports.jobs.create([make_job(job_id, created_at=home.clock.now())])
    now = home.clock.now()
    claim = guarded.claim_if_ready(Lane("acme", "mail"), job_id, Lease("w-1", now + 30_000), now)
    (outcome,) = home.ports.jobs.apply([claim])
    assert outcome.job is not None
    home.ports.timers.set([Timer(now + 30_000, "acme", job_id, 1)])
    return outcome.job


def test_stuck_jobs_wait_again_and_their_holders_are_locked_out(home: Home) -> None:
    stuck = running(home, "stuck")
    home.clock.advance(3_600)
    running(home, "fresh")
    home.clock.advance(10)
    jobs, done = reset_stuck(home.ports, OLGA, 3_600, confirm=False)
    assert ([job.id for job in jobs], done) == (["stuck"], 0)
    jobs, done = reset_stuck(home.ports, OLGA, 3_600, confirm=True)
    assert ([job.id for job in jobs], done) == (["stuck"], 1)
    (job,) = home.ports.jobs.get([JobKey("acme", "stuck")])
    assert job is not None
    assert (job.state, job.attempt, job.attempts_allowed) == (State.RETRY, 1, stuck.attempts_allowed + 1)
    assert "reset by olga" in (job.error_message or "")
    late = guarded.complete_if_held(stuck, "late", None, home.clock.now())
    assert not home.ports.jobs.apply([late])[0].applied
    assert [ready.job_id for ready in home.ports.jobs.head(Lane("acme", "mail"), 5)] == ["stuck"]
    assert len(home.ports.tickets.receive("default", 10, 0)) == 1
    assert reset_stuck(home.ports, OLGA, 3_600, confirm=True) == ([], 0)


class TestRetention:
    def completed(self, home: Home, **spec: Any) -> Job:
        """A job submitted to `mail` and completed at once."""
        ann = Caller("acme", "ann", frozenset({"submit"}))
        job = submit_one(home.ports, ann, JobSpec(name="send", queue="mail", **spec)).job
        now = home.clock.now()
        home.ports.jobs.apply([guarded.claim_if_ready(Lane("acme", "mail"), job.id, Lease("w", now + 9), now)])
        (held,) = home.ports.jobs.get([JobKey("acme", job.id)])
        assert held is not None
        home.ports.jobs.apply([guarded.complete_if_held(held, 1, None, now)])
        return job

    def seen(self, home: Home, job: Job) -> bool:
        return home.ports.jobs.get([JobKey("acme", job.id)])[0] is not None

    @pytest.mark.parametrize("job_id", [None, "own"])
    def test_a_job_is_kept_as_long_as_its_queue_says_and_then_deleted(self, home: Home, job_id: str | None) -> None:
        home.ports.queues.put_if_unchanged(Queue(tenant="acme", name="mail", keep_seconds=60), None)
        job = self.completed(home, job_id=job_id)
        home.clock.advance(59)
        assert self.seen(home, job)
        assert retire(home.ports, home.clock.now()) == 0
        home.clock.advance(2 + 6 * 3_600)
        assert not self.seen(home, job)
        assert retire(home.ports, home.clock.now()) == 1
        assert home.ports.upkeep.walk(None, 100) == ([], None)

    def test_the_default_is_seven_days_after_the_end(self, home: Home) -> None:
        home.ports.queues.put_if_unchanged(Queue(tenant="acme", name="mail"), None)
        job = self.completed(home)
        home.clock.advance(7 * DAY - 1)
        assert self.seen(home, job)
        home.clock.advance(2)
        assert not self.seen(home, job)

    def test_what_the_job_says_is_stronger(self, home: Home) -> None:
        home.ports.queues.put_if_unchanged(Queue(tenant="acme", name="mail", keep_seconds=60), None)
        job = self.completed(home, keep_until=START_MS + 1_000_000)
        home.clock.advance(999)
        assert self.seen(home, job)
        home.clock.advance(2)
        assert not self.seen(home, job)

    def test_a_job_that_runs_again_is_kept_from_its_new_end(self, home: Home) -> None:
        home.ports.queues.put_if_unchanged(Queue(tenant="acme", name="mail", keep_seconds=60), None)
        ann = Caller("acme", "ann", frozenset({"submit"}))
        job = submit_one(home.ports, ann, JobSpec(name="send", queue="mail")).job
        home.ports.jobs.apply([guarded.cancel_if_waiting(job, "no", home.clock.now())])
        home.clock.advance(50)
        for act in (guarded.restart_if_ended, lambda job, now: guarded.cancel_if_waiting(job, "no", now)):
            (now_,) = home.ports.jobs.get([JobKey("acme", job.id)])
            assert now_ is not None
            assert home.ports.jobs.apply([act(now_, home.clock.now())])[0].applied
            home.clock.advance(20 if act is guarded.restart_if_ended else 0)
        home.clock.advance(59)
        assert self.seen(home, job)
        home.clock.advance(2)
        assert not self.seen(home, job)


def test_the_change_feed_takes_an_erased_jobs_large_values(home: Home) -> None:
    for key in ("acme/data", "acme/result", "acme/other"):
        home.ports.blobs.put(key, b"1")
    erased = Change(tenant="acme", job_id="j", old_state=State.FAILED, state=None, blobs=("acme/data", "acme/result"))
    for _ in range(2):
        record_changes(home.ports, "b", [erased])
    assert list(home.ports.blobs.list("")) == ["acme/other"]


class TestDeadLetters:
    MAIN = Caller("main", "olga", frozenset({"operate"}))

    def test_they_are_listed_with_their_reasons_and_dropped(self, ports: Ports) -> None:
        for number in range(3):
            put_aside(ports, f"body {number}", "tidegate-default-low", "the message is not a ticket")
        letters = list_letters(ports, self.MAIN)
        assert sorted(letter.body for letter in letters) == ["body 0", "body 1", "body 2"]
        assert {(letter.source, letter.reason) for letter in letters} == {
            ("tidegate-default-low", "the message is not a ticket")
        }
        assert [each.id for each in list_letters(ports, self.MAIN, letters[0].id, 1)] == [letters[1].id]
        wanted = [letters[0].id]
        assert redrive(ports, self.MAIN, wanted, drop=True, confirm=False) == {letters[0].id: None}
        assert redrive(ports, self.MAIN, wanted, drop=True, confirm=True) == {letters[0].id: Fate.DROPPED}
        assert list(list_letters(ports, self.MAIN)) == list(letters[1:])
        assert set(redrive(ports, self.MAIN, None, drop=False, confirm=True).values()) == {Fate.UNREADABLE}
        assert len(list_letters(ports, self.MAIN)) == 2

    def test_one_that_is_a_ticket_by_now_starts_its_job(self, home: Home) -> None:
        home.ports.jobs.create([make_job("job"), make_job("over", state=State.FAILED)])
        for job_id in ("job", "over", "gone"):
            put_aside(home.ports, f'[1,"acme","mail","{job_id}","default",5,7]', "q", "an unknown version")
        fates = redrive(home.ports, OLGA, None, drop=False, confirm=True)
        assert sorted(str(fate) for fate in fates.values()) == ["renewed", "spent", "spent"]
        (delivery,) = home.ports.tickets.receive("default", 10, 0)
        assert '"job"' in delivery.body
        assert list(list_letters(home.ports, OLGA)) == []

    def test_a_letter_belongs_to_the_tenant_it_names(self, ports: Ports) -> None:
        put_aside(ports, '[9,"acme","mail"]', "q", "an unknown version")
        put_aside(ports, "[[[", "q", "not a ticket")
        assert [letter.body for letter in list_letters(ports, OLGA)] == ['[9,"acme","mail"]']
        assert [letter.body for letter in list_letters(ports, self.MAIN)] == ["[[["]
        (other,) = list_letters(ports, self.MAIN)
        with pytest.raises(NotFound):
            redrive(ports, OLGA, [other.id], drop=True, confirm=True)
