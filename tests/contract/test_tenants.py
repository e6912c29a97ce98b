"""Limits of tenants in both homes: their store, their bucket under many at once, and what they keep from happening."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from contract.limited import Watched, all_quiet, held, jobs_of, let_pass, limited, run_all, submitted
from home import ADMIN, Home
from tidegate.domain.bucket import Bucket
from tidegate.domain.caller import Caller
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.domain.errors import Conflict, Forbidden, InvalidInput, PayloadTooLarge, TooManyRequests
from tidegate.domain.job import State
from tidegate.domain.limits import Holder, tenants_semaphore
from tidegate.domain.schedule import JobTemplate
from tidegate.domain.spec import JobSpec
from tidegate.domain.tenant import Tenant
from tidegate.domain.ticket import ticket_for
from tidegate.domain.why.gate import GateName
from tidegate.execution.context import JobContext
from tidegate.ports import Ports
from tidegate.service.claim import Claimed, Spent, claim_for
from tidegate.service.examine import examine
from tidegate.service.runs import submit_dag
from tidegate.service.schedules import create_schedule
from tidegate.service.submit import Submitted, submit
from tidegate.service.tenants import change_tenant, get_tenant
from tidegate.service.why import why

OPERATOR = Caller("main", "operator", frozenset({"admin"}), "home")
FIVE = Bucket(rate=1, burst=5)


class TestStore:
    """`Tenants`."""

    def test_limits_come_back_as_stored_and_only_who_saw_the_last_ones_changes_them(self, ports: Ports) -> None:
        first = Tenant(name="acme", submit_rate=0.5, max_running=3, fixed=True, version=1, updated_at=7)
        assert ports.tenants.get("acme") is None
        assert ports.tenants.put_if_unchanged(first, None)
        assert not ports.tenants.put_if_unchanged(first, None)
        assert ports.tenants.get("acme") == first
        second = Tenant(name="acme", max_schedules=0, version=2)
        assert ports.tenants.put_if_unchanged(second, first)
        assert not ports.tenants.put_if_unchanged(second, first)
        assert ports.tenants.get("acme") == second
        assert ports.tenants.get("acme.2") is None

    def test_a_bucket_lets_a_burst_pass_and_fills_up_again(self, ports: Ports, home: Any) -> None:
        def admitted(wanted: int, tenant: str = "acme") -> int:
            return ports.tenants.admit(tenant, FIVE, wanted, home.clock.now()).passed

        assert [admitted(3), admitted(3), admitted(1)] == [3, 2, 0]
        assert admitted(1, "zeta") == 1
        home.clock.advance(2.5)
        assert [admitted(9), admitted(1)] == [2, 0]
        home.clock.advance(3600)
        assert [admitted(9), admitted(1)] == [5, 0]

    def test_of_many_at_once_no_more_pass_than_the_bucket_holds(self, ports: Ports, home: Any) -> None:
        passed: list[int] = []

        def ask() -> None:
            bucket, now = Bucket(1, 12), home.clock.now()
            passed.extend(ports.tenants.admit("acme", bucket, 1, now).passed for _ in range(5))
            ports.close()

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(passed), sum(passed)) == (30, 12)


def outcomes(found: Any) -> list[str]:
    return ["ok" if isinstance(each, Submitted) else each.code for each in found]


class TestSubmission:
    """What a tenant may submit."""

    def test_more_than_the_rate_is_refused_one_by_one_and_told_when_to_come_back(self, either: Home) -> None:
        change_tenant(either.ports, OPERATOR, {"submit_rate": 0.5, "submit_burst": 3})
        found = submit(either.ports, ADMIN, [JobSpec(name="work") for _ in range(5)])
        assert outcomes(found) == ["ok"] * 3 + ["TOO_MANY_REQUESTS"] * 2
        refusal = found[4]
        assert isinstance(refusal, TooManyRequests)
        assert dict(refusal.details) == {"limit": 0.5, "retry_after": 2}
        either.clock.advance(2)
        assert outcomes(submit(either.ports, ADMIN, [JobSpec(name="work") for _ in range(2)])) == [
            "ok",
            "TOO_MANY_REQUESTS",
        ]

    def test_a_job_that_was_accepted_is_answered_as_such_whatever_the_rate(self, either: Home) -> None:
        change_tenant(either.ports, OPERATOR, {"submit_rate": 0.1, "submit_burst": 1})
        mine = JobSpec(name="work", job_id="mine")
        assert outcomes(submit(either.ports, ADMIN, [mine])) == ["ok"]
        found = submit(either.ports, ADMIN, [mine, JobSpec(name="work")])
        assert outcomes(found) == ["ok", "TOO_MANY_REQUESTS"]
        assert isinstance(found[0], Submitted)
        assert not found[0].created

    def test_another_tenant_and_schedules_have_no_part_in_the_rate(self, either: Home) -> None:
        change_tenant(either.ports, OPERATOR, {"submit_rate": 0.1, "submit_burst": 1, "max_batch": 1})
        specs = [JobSpec(name="work") for _ in range(3)]
        assert outcomes(submit(either.ports, Caller("zeta", "eve", frozenset({"submit"})), specs)) == ["ok"] * 3
        assert outcomes(submit(either.ports, ADMIN, specs, by_rule=True)) == ["ok"] * 3
        with pytest.raises(InvalidInput, match="jobs: must have at most 1 entries: the limit of tenant 'main'"):
            submit(either.ports, ADMIN, specs)

    def test_nothing_of_what_is_refused_stays(self, either: Home) -> None:
        change_tenant(either.ports, OPERATOR, {"submit_rate": 0.1, "submit_burst": 1})
        large = JobSpec(name="work", data="x" * 500_000)
        assert outcomes(submit(either.ports, ADMIN, [large, large])) == ["ok", "TOO_MANY_REQUESTS"]
        assert len(either.ports.blobs.list("")) == 1

    def test_payloads_and_runs_are_bounded(self, either: Home) -> None:
        change_tenant(either.ports, OPERATOR, {"max_payload_bytes": 10, "max_dag_nodes": 2})
        found = submit(either.ports, ADMIN, [JobSpec(name="work", data="12345678"), JobSpec(name="work", data="é" * 5)])
        assert outcomes(found) == ["ok", "PAYLOAD_TOO_LARGE"]
        assert isinstance(found[1], PayloadTooLarge)
        assert found[1].details["limit"] == 10
        with pytest.raises(InvalidInput, match="nodes: must be at most 2, not 3"):
            submit_dag(either.ports, ADMIN, run_of(3), {})
        with pytest.raises(InvalidInput, match=r"nodes\.1.*at most 10 bytes"):
            submit_dag(either.ports, ADMIN, run_of(2, data="x" * 20), {})
        assert submit_dag(either.ports, ADMIN, run_of(2), {})[1]

    def test_a_run_counts_as_its_jobs_and_a_burst_is_enough_for_any(self, either: Home) -> None:
        change_tenant(either.ports, OPERATOR, {"submit_rate": 1, "submit_burst": 3})
        assert submit_dag(either.ports, ADMIN, run_of(5), {})[1]
        with pytest.raises(TooManyRequests) as refused:
            submit_dag(either.ports, ADMIN, run_of(2), {})
        assert refused.value.details["retry_after"] == 2
        either.clock.advance(2)
        assert submit_dag(either.ports, ADMIN, run_of(2), {})[1]

    def test_no_more_schedules_than_allowed(self, either: Home) -> None:
        change_tenant(either.ports, OPERATOR, {"max_schedules": 2})
        for name in ("a", "b"):
            scheduled(either, name)
        with pytest.raises(Conflict, match="tenant 'main' has 2 schedules, and that is its limit"):
            scheduled(either, "c")
        assert get_tenant(either.ports, ADMIN)[1].schedules == 2


def run_of(nodes: int, **last: Any) -> DagSpec:
    jobs = [{"name": "work"} for _ in range(nodes)]
    jobs[-1] |= last
    return DagSpec(name="run", nodes=tuple(NodeSpec(id=f"n{n}", job=job) for n, job in enumerate(jobs)))


def scheduled(home: Home, name: str) -> None:
    create_schedule(home.ports, ADMIN, name=name, expression="0 2 * * *", job=JobTemplate(name="work"))


class TestRunning:
    """`max_running`: over all queues of the tenant."""

    def test_never_more_run_at_once_over_all_queues_and_all_run(self, either: Home) -> None:
        change_tenant(either.ports, OPERATOR, {"max_running": 2})
        limited(either, slots=3)
        limited(either, "wide")
        queues = ("narrow", "wide", "default")
        jobs = submitted(either, [JobSpec(name="work", queue=queues[n % 3]) for n in range(18)])
        work = Watched(0.002)
        run_all(either, jobs, work)
        assert work.most["all"] <= 2
        assert {job.state for job in jobs_of(either, jobs)} == {State.COMPLETED}
        assert held(either.ports) == {}

    def test_a_slot_that_gets_free_wakes_another_queue(self, either: Home) -> None:
        change_tenant(either.ports, OPERATOR, {"max_running": 1})
        limited(either, "other")
        first, second = either.submit(priority=9), either.submit(queue="other")

        def work(job: JobContext) -> None:
            if job.id == first.id:
                delivery = either.receive()
                assert delivery is not None
                assert isinstance(claim_for(either.ports, ticket_for(second), "w-2", 60, receives=9), Spent)
                either.ports.tickets.finish([delivery])
                gate = next(each for each in why(either.ports, ADMIN, second.id).gates if each.name is GateName.TENANT)
                assert (gate.holds, gate.message) == (True, "1 of the 1 jobs that its tenant may run at once run")
                assert gate.facts["holders"] == [first.id]
                assert get_tenant(either.ports, ADMIN)[1].running == 1

        assert either.drain(either.runner(work=work)) == 2
        assert [job.state for job in jobs_of(either, [first, second])] == [State.COMPLETED] * 2
        assert held(either.ports) == {}

    def test_a_slot_held_for_nothing_is_found_and_freed(self, either: Home) -> None:
        change_tenant(either.ports, OPERATOR, {"max_running": 1})
        job = either.submit()
        orphan = str(Holder(False, False, either.clock.now(), "ff", "nobody", of_tenant=True))
        assert either.ports.slots.acquire_if_free(tenants_semaphore("main"), orphan, 1).granted
        assert not isinstance(claim_for(either.ports, ticket_for(job), "w-1", 60, receives=9), Claimed)
        runner = either.runner(work=lambda _: None)
        let_pass(either, runner, 600, lambda: all_quiet(either, [job]))
        assert all_quiet(either, [job])

    def test_the_doctor_misses_no_tickets_of_a_tenant_that_is_full(self, either: Home) -> None:
        change_tenant(either.ports, OPERATOR, {"max_running": 1})
        first, _ = either.submit(), either.submit()
        for _ in range(2):
            delivery = either.receive()
            assert delivery is not None
            either.ports.tickets.finish([delivery])
        assert isinstance(claim_for(either.ports, ticket_for(first), "w-1", 3600, receives=1), Claimed)
        either.clock.advance(400)
        assert "lost_ticket" not in {each.drift.value for each in examine(either.ports).findings}


class TestWhoSets:
    """Who may change limits."""

    def test_limits_set_in_the_home_are_not_lifted_with_a_token(self, either: Home) -> None:
        assert change_tenant(either.ports, ADMIN, {"max_batch": 7}).max_batch == 7
        assert not get_tenant(either.ports, ADMIN)[0].fixed
        change_tenant(either.ports, OPERATOR, {"max_running": 2})
        with pytest.raises(Forbidden, match="the limits of tenant 'main' are set in the home itself"):
            change_tenant(either.ports, ADMIN, {"max_running": None})
        found, _ = get_tenant(either.ports, ADMIN)
        assert (found.max_batch, found.max_running, found.fixed, found.version) == (7, 2, True, 2)

    @pytest.mark.parametrize(
        ("limits", "rule"),
        [
            ({"submit_rate": 0}, "submit_rate: must be from 0.001 to 10000"),
            ({"submit_rate": float("nan")}, "submit_rate: must be from 0.001 to 10000"),
            ({"max_running": 501}, "max_running: must be from 1 to 500"),
            ({"max_batch": 101}, "max_batch: must be from 1 to 100"),
            ({"submit_burst": 5}, "submit_burst: needs a submit_rate"),
        ],
    )
    def test_what_cannot_be_a_limit_is_refused(self, limits: dict[str, Any], rule: str) -> None:
        with pytest.raises(InvalidInput, match=rule):
            Tenant(name="main", **limits)
