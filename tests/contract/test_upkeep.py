"""`Upkeep`, and what maintenance asks of `Blobs` and `Figures`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.clock import START_MS, Clock
from support.homes import Home
from support.jobs import make_job
from tidegate.domain import guarded
from tidegate.domain.errors import InvalidInput
from tidegate.domain.guard import Lease
from tidegate.domain.job import Job, State
from tidegate.domain.ticket import Lane
from tidegate.ports import Addition, JobKey, JobQuery, Ports, Timer

HOUR_MS = 3_600_000


def stored(ports: Ports, *jobs: Job) -> list[Job]:
    assert list(ports.jobs.create(jobs)) == [None] * len(jobs)
    return list(jobs)


def ended(job_id: str, state: State = State.COMPLETED, at: int = START_MS, **changes: object) -> Job:
    return make_job(job_id, state=state, attempt=1, completed_at=at, updated_at=at, **changes)


def there(ports: Ports, job: Job) -> bool:
    return ports.jobs.get([JobKey(job.tenant, job.id)])[0] is not None


def walked(ports: Ports, limit: int) -> list[Job]:
    found, after = [], None  # type: ignore[var-annotated]
    while True:
        part, after = ports.upkeep.walk(after, limit)
        found += part
        if after is None:
            return sorted(found, key=lambda job: job.id)


class TestErasing:
    @pytest.mark.parametrize("named", [False, True], ids=["server's id", "own id"])
    @pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.SKIPPED, State.EXPIRED, State.CANCELLED])
    def test_ended_jobs_are_deleted_and_their_ids_are_free(
        self, ports: Ports, clock: Clock, state: State, named: bool
    ) -> None:
        jobs = stored(ports, *(ended(f"mine-{n}" if named else clock.new_id(), state) for n in range(4)))
        assert list(ports.upkeep.erase_unchanged(jobs)) == [True] * 4
        assert list(ports.jobs.get([JobKey("acme", job.id) for job in jobs])) == [None] * 4
        assert list(ports.upkeep.erase_unchanged(jobs)) == [False] * 4
        stored(ports, *(make_job(job.id) for job in jobs))

    def test_a_job_that_changed_since_it_was_read_is_kept(self, ports: Ports, clock: Clock) -> None:
        """An archive holds what was read: what came after must not go unseen."""
        (job,) = stored(ports, ended(clock.new_id(), State.FAILED))
        (again,) = ports.jobs.apply([guarded.restart_if_ended(job, START_MS + 5)])
        assert again.job is not None
        assert list(ports.upkeep.erase_unchanged([job])) == [False]
        ports.jobs.apply([guarded.cancel_if_waiting(again.job, "no", START_MS + 6)])
        assert list(ports.upkeep.erase_unchanged([job])) == [False]
        assert there(ports, job)

    @pytest.mark.parametrize("state", [State.CREATED, State.RETRY, State.ACTIVE])
    def test_open_jobs_are_kept(self, ports: Ports, clock: Clock, state: State) -> None:
        (job,) = stored(ports, make_job(clock.new_id(), state=state, attempt=1))
        assert list(ports.upkeep.erase_unchanged([job])) == [False]
        assert there(ports, job)

    def test_another_tenants_job_of_that_id_is_kept(self, ports: Ports) -> None:
        mine, other = stored(ports, ended("same"), replace(ended("same"), tenant="zeta"))
        assert list(ports.upkeep.erase_unchanged([mine])) == [True]
        assert there(ports, other)


class TestOutlived:
    def found(self, ports: Ports, clock: Clock) -> set[str]:
        """All that is found by asking as the clock does, over a day."""
        found: set[str] = set()
        for _ in range(30):
            found |= {job.id for job in ports.upkeep.outlived(clock.now(), 1_000)}
            clock.advance(3_600)
        return found

    def test_ended_jobs_are_found_once_their_time_has_passed(self, ports: Ports, clock: Clock) -> None:
        late, soon, never, waiting = stored(
            ports,
            ended(clock.new_id(), keep_until=START_MS + 1_000),
            ended(clock.new_id(), State.FAILED, keep_until=START_MS + 90 * HOUR_MS),
            ended(clock.new_id()),
            make_job(clock.new_id(), keep_until=START_MS + 1_000),
        )
        assert self.found(ports, clock) == {late.id}
        assert {soon.id, never.id, waiting.id} == {job.id for job in (soon, never, waiting) if there(ports, job)}
        clock.advance(90 * 3_600)
        assert self.found(ports, clock) == {late.id, soon.id}

    def test_what_is_found_can_be_deleted(self, ports: Ports, clock: Clock) -> None:
        jobs = stored(ports, *(ended(f"j-{n}", keep_until=START_MS + n) for n in range(5)))
        clock.advance(2)
        assert all(ports.upkeep.erase_unchanged(ports.upkeep.outlived(clock.now(), 1_000)))
        assert walked(ports, 100) == []
        assert list(ports.upkeep.erase_unchanged(jobs)) == [False] * 5

    def test_no_more_than_asked_for(self, ports: Ports, clock: Clock) -> None:
        stored(ports, *(ended(clock.new_id(), keep_until=START_MS) for _ in range(12)))
        clock.advance(1)
        assert len(ports.upkeep.outlived(clock.now(), 5)) <= 5


def test_dynamodb_looks_at_all_of_the_table_a_slice_a_tick_and_then_rests(aws_ports: Ports, aws: object) -> None:
    clock: Clock = aws.clock  # type: ignore[attr-defined]
    stored(aws_ports, *(ended(clock.new_id(), keep_until=START_MS) for _ in range(12)))
    clock.advance(1)
    found = [len(aws_ports.upkeep.outlived(clock.now(), 5)) for _ in range(4)]
    assert sum(found) == 12
    assert max(found) <= 5
    assert list(aws_ports.upkeep.outlived(clock.now(), 5)) == []
    clock.advance(6 * 3_600)
    assert len(aws_ports.upkeep.outlived(clock.now(), 1_000)) == 12


class TestRunning:
    def start(self, home: Home, *jobs: Job) -> list[Job]:
        """Claim the jobs now, and note their timers as the change feed does."""
        stored(home.ports, *jobs)
        now = home.clock.now()
        writes = [guarded.claim_if_ready(Lane(j.tenant, j.queue), j.id, Lease("w", now + 30_000), now) for j in jobs]
        running = [outcome.job for outcome in home.ports.jobs.apply(writes) if outcome.job is not None]
        home.ports.timers.set([Timer(job.lease_until or 0, job.tenant, job.id, job.attempt) for job in running])
        return running

    def test_the_longest_running_come_first(self, home: Home) -> None:
        started = []
        for number in range(4):
            started += self.start(home, make_job(f"job-{number}"))
            home.clock.advance(60)
        stored(home.ports, make_job("waits"), ended("over"))
        found = home.ports.upkeep.running("acme", home.clock.now() - 119_000, 10)
        assert [job.id for job in found] == ["job-0", "job-1", "job-2"]
        assert list(found) == started[:3]
        assert [job.id for job in home.ports.upkeep.running("acme", home.clock.now(), 2)] == ["job-0", "job-1"]
        assert list(home.ports.upkeep.running("zeta", home.clock.now(), 2)) == []

    def test_a_job_that_ended_does_not_run(self, home: Home) -> None:
        (job,) = self.start(home, make_job("job"))
        home.ports.jobs.apply([guarded.complete_if_held(job, 1, None, START_MS)])
        assert list(home.ports.upkeep.running("acme", START_MS + 1, 10)) == []


class TestCounting:
    def test_the_count_is_that_of_all_pages_or_none(self, home: Home) -> None:
        jobs = stored(
            home.ports,
            *(ended(f"a-{n}", queue="post", metadata={"k": str(n % 2)}) for n in range(5)),
            *(make_job(f"b-{n}", tags=("x",)) for n in range(3)),
            replace(make_job("other"), tenant="zeta"),
            ended("gone", keep_until=START_MS),
        )
        home.clock.advance(1)
        expected = [
            (JobQuery(tenant="acme"), 8),
            (JobQuery(tenant="acme", states=frozenset({State.COMPLETED})), 5),
            (JobQuery(tenant="acme", states=frozenset({State.CREATED}), queue="mail", limit=1), 3),
            (JobQuery(tenant="acme", queue="post", name="send", metadata={"k": "0"}), 3),
            (JobQuery(tenant="acme", tag="x"), 3),
            (JobQuery(tenant="zeta", states=frozenset({State.FAILED})), 0),
        ]
        counted = [home.ports.upkeep.count(query) for query, _ in expected]
        assert len(jobs) == 10
        assert counted == ([count for _, count in expected] if home.kind == "sqlite" else [None] * len(expected))


class TestWalking:
    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_every_job_of_every_tenant_is_met_once(self, ports: Ports, clock: Clock, limit: int) -> None:
        jobs = [make_job(clock.new_id()) for _ in range(4)] + [ended("mine"), ended("old", keep_until=START_MS)]
        stored(ports, *jobs, replace(make_job("theirs"), tenant="zeta"))
        clock.advance(1)
        assert [job.id for job in walked(ports, limit)] == sorted([*(job.id for job in jobs), "theirs"])

    def test_an_empty_home_has_none(self, ports: Ports) -> None:
        assert walked(ports, 10) == []

    @pytest.mark.parametrize("after", ["x", "", "!", "ü"])
    def test_a_text_that_no_walk_answered_is_refused(self, ports: Ports, after: str) -> None:
        with pytest.raises(InvalidInput):
            ports.upkeep.walk(after, 10)


def test_what_a_deleted_job_leaves_behind_is_taken_away(home: Home) -> None:
    """DynamoDB's TTL deletes the job alone: the pointer of its id stays, until the change feed hears of it."""
    stored(home.ports, ended("mine"), ended("kept"))
    if home.kind == "aws":
        table = home.ports.upkeep._jobs  # type: ignore[attr-defined]
        (item,) = [item for item in table.scan(100).items if item.get("id") == {"S": "mine"}]
        table.delete((item["pk"]["S"], item["sk"]["S"]))
        assert len(table.scan(100).items) == 3
    home.ports.upkeep.forget([JobKey("acme", "mine"), JobKey("acme", "kept"), JobKey("acme", "unknown")])
    if home.kind == "aws":
        assert len(table.scan(100).items) == 2
    assert home.ports.jobs.get([JobKey("acme", "kept")])[0] is not None


class TestEndedBefore:
    @pytest.mark.parametrize(
        "states",
        [{State.COMPLETED}, {State.FAILED}, {State.FAILED, State.SKIPPED}, {State.COMPLETED, State.FAILED}, set()],
        ids=["completed", "shelf", "shelves", "mixed", "any"],
    )
    @pytest.mark.parametrize("limit", [2, 50])
    def test_only_jobs_that_ended_before_are_listed(
        self, ports: Ports, clock: Clock, states: set[State], limit: int
    ) -> None:
        cycle = [State.COMPLETED, State.FAILED, State.SKIPPED]
        jobs = []
        for number in range(12):
            jobs.append(ended(clock.new_id(), cycle[number % 3], clock.now(), created_at=clock.now() - 500))
            clock.advance(1)
        stored(ports, *jobs, make_job(clock.new_id()))
        limit_at = START_MS + 7_000
        expected = [
            job.id for job in jobs if (not states or job.state in states) and (job.completed_at or 0) < limit_at
        ]
        query = JobQuery(tenant="acme", states=frozenset(states), ended_before=limit_at, limit=limit)
        found = []
        while True:
            page = ports.jobs.page(query)
            found += [job.id for job in page.jobs]
            if page.next_cursor is None:
                break
            query = replace(query, cursor=page.next_cursor)
        assert found == expected[::-1]


class TestBlobLists:
    KEYS = ("dead-letters/a.json", "dead-letters/b.json", "dead-letters/é.json", "dead/c", "other")

    def test_keys_with_a_prefix_come_in_the_order_of_their_bytes(self, ports: Ports) -> None:
        for key in reversed(self.KEYS):
            ports.blobs.put(key, b"x")
        assert list(ports.blobs.list("dead-letters/")) == list(self.KEYS[:3])
        assert list(ports.blobs.list("dead-letters/", limit=2)) == list(self.KEYS[:2])
        assert list(ports.blobs.list("dead-letters/", after="dead-letters/a.json")) == list(self.KEYS[1:3])
        assert list(ports.blobs.list("dead-letters/b")) == ["dead-letters/b.json"]
        assert list(ports.blobs.list("dead-letters/", after="dead-letters/é.json")) == []
        assert list(ports.blobs.list("nothing/")) == []
        assert len(ports.blobs.list("")) == 5


class TestSeries:
    def test_series_of_a_range_come_by_name(self, ports: Ports) -> None:
        series = ("name#a", "name#a.b", "name#Z", "names", "queue#a")
        ports.figures.add_once("b", [Addition("acme", name, {"x": n + 1}) for n, name in enumerate(series)])
        ports.figures.add_once("c", [Addition("zeta", "name#a", {"x": 9}), Addition("acme", "name#zero", {"x": 0})])
        found = ports.figures.between("acme", "name#", "name#~")
        assert list(found.items()) == [("name#Z", {"x": 3}), ("name#a", {"x": 1}), ("name#a.b", {"x": 2})]
        assert ports.figures.between("acme", "queue#a", "queue#a") == {"queue#a": {"x": 5}}

    def test_a_first_value_stays(self, ports: Ports) -> None:
        ports.figures.add_once("b1", [Addition("acme", "totals", {"x": 1}, {"since": 70})])
        ports.figures.add_once("b2", [Addition("acme", "totals", {"x": 1}, {"since": 60})])
        assert ports.figures.read("acme", "totals") == {"x": 2, "since": 70}

    def test_a_first_value_without_amounts_is_set(self, ports: Ports) -> None:
        ports.figures.add_once("b", [Addition("acme", "totals", {}, {"since": 70})])
        assert ports.figures.read("acme", "totals") == {"since": 70}
