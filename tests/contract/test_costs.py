"""What the cloud home asks of AWS, counted: a change that raises a count must raise it in the committed table too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from benchmarks.cloud import bill
from benchmarks.cloud.counts import committed, raised
from benchmarks.cloud.flows import FEED, LONG_RUN, ONE, SHORT_RUN, Flow, count_all
from benchmarks.cloud.runs import WIDE
from benchmarks.cloud.stage import BATCH, Stage
from benchmarks.cloud.width import ITEM_LIMIT, TRANSACTION_LIMIT, count

from support.aws import Cloud
from tidegate.domain.cost import estimated
from tidegate.domain.tenant import Tenant
from tidegate.domain.ticket import Lane
from tidegate.ports import JobKey
from tidegate.service.fares import prices


@pytest.fixture(autouse=True)
def own_executors() -> None:
    """The flows' handlers are loaded once, and stay registered."""


@pytest.fixture(scope="module")
def flows(aws: Cloud) -> Mapping[str, Flow]:
    """Every counted flow."""
    return count_all(Stage(aws))


@pytest.fixture
def stage(aws: Cloud) -> Stage:
    """A deployment whose API has answered once."""
    made = Stage(aws)
    made.post("/jobs", ONE)
    return made


def test_no_flow_asks_for_more_than_the_committed_table_says(flows: Mapping[str, Flow]) -> None:
    assert raised(committed(), {name: flow.counts() for name, flow in flows.items()}) == []


def test_a_raised_count_and_a_missing_flow_are_named() -> None:
    before = {"submit": {"calls": 2.0, "writes": 2.0}, "run": {"calls": 3.0}}
    assert raised(before, before) == []
    assert raised(before, {"submit": {"calls": 1.0, "writes": 2.0}, "run": {"calls": 3.0}}) == []
    assert raised(before, {"submit": {"calls": 2.0, "writes": 3.0}}) == [
        "run: only in one of the tables",
        "submit: writes 2 → 3",
    ]


def test_one_more_read_or_write_is_seen(stage: Stage) -> None:
    with stage.counting() as counted:
        job_id = stage.post("/jobs", ONE)["job_id"]
        stage.app.ports.jobs.get([JobKey("main", job_id)])
        stage.app.ports.lanes.touch(Lane("main", "another"), stage.cloud.clock.now())
    assert counted.tally.requests == {"PutItem": 2, "SendMessageBatch": 1, "GetItem": 1}
    assert (counted.tally.write_units, counted.tally.read_units, counted.tally.sqs_requests) == (3, 1, 1)


def test_a_large_job_costs_more_units_in_the_table_but_not_in_its_index(stage: Stage) -> None:
    with stage.counting() as counted:
        stage.post("/jobs", {**ONE, "data": "x" * 3000})
    units = {charge.of_index: charge.units for charge in counted.tally.charges}
    assert units == {None: 4, "board": 1}


def test_a_refused_creation_is_charged_and_leaves_no_change(stage: Stage) -> None:
    named = {**ONE, "job_id": stage.cloud.clock.new_id()}
    stage.post("/jobs", named)
    with stage.counting() as counted:
        assert stage.post("/jobs", named)["job_id"] == named["job_id"]
    assert counted.tally.requests == {"PutItem": 1}
    assert counted.tally.write_units == 1
    assert counted.tally.changes == []


def test_a_listing_of_a_runs_jobs_reads_no_others(stage: Stage) -> None:
    """They are found by the time with which their ids begin, however many jobs there are."""
    dag_id = stage.post("/dags", {"name": "d", "nodes": [{"id": each, "name": "noop"} for each in "ab"]})["dag_id"]
    units = []
    for _ in range(2):
        with stage.counting() as counted:
            assert {job["node"] for job in stage.get("/jobs", f"dag_id={dag_id}")["jobs"]} == {"a", "b"}
        units.append(counted.tally.read_units)
        stage.cloud.clock.advance(60)
        stage.post("/jobs/batch", {"jobs": [ONE] * 70})
    assert units[0] == units[1]
    stage.work()


def test_what_goes_through_functions_is_what_the_flow_says(stage: Stage) -> None:
    stage.post("/jobs/batch", {"jobs": [ONE] * 19})
    assert [stage.work(), stage.work(), stage.work()] == [10, 10, 0]
    assert all(job["state"] == "COMPLETED" for job in stage.get("/jobs")["jobs"])


def test_a_lane_is_bounded_by_the_partition_of_its_index(flows: Mapping[str, Flow]) -> None:
    hottest = flows["submit a hundred"].tally.hottest()
    assert (hottest.of_index, hottest.partition) == ("board", "tidegate-jobs/r#main#default")
    assert hottest.units == 100


def test_every_price_is_positive_and_every_allowance_has_a_price() -> None:
    prices = bill.load()
    assert all(price > 0 for price in prices.price.values())
    assert set(prices.free) <= set(prices.price)


def test_the_price_file_is_read_from_where_it_is_said_to_be() -> None:
    assert Path(bill.PRICES).name == "prices.toml"
    assert bill.load().as_of


def test_the_steps_of_an_estimate_are_those_that_were_counted() -> None:
    """The counts of jobs that take longer, with what Lambda asks of SQS for ten, and its share of an invocation."""
    counted, steps = committed(), prices().steps
    lambdas_own = {"submit": 0.0, "attempt": 2 / BATCH, "feed": 0.0}
    flows = {"submit": "submit one", "attempt": LONG_RUN, "feed": FEED}
    for step, flow in flows.items():
        asked = {name: steps[step][name] for name in ("calls", "sqs", "writes", "reads")}
        assert asked == pytest.approx(dict(counted[flow]) | {"sqs": counted[flow]["sqs"] + lambdas_own[step]}), step


def test_an_estimate_is_the_bill_of_a_life_without_its_log_lines(flows: Mapping[str, Flow]) -> None:
    listed = bill.load()
    life = bill.lives(flows, listed)[bill.LONGER]
    without_lines = life.dollars(listed) - life.amount("log_gb") * listed.price["log_gb"]
    assert estimated(prices(), 0, 512).dollars == pytest.approx(without_lines, rel=0.02)
    second = estimated(prices(), 1_000, 512).dollars - estimated(prices(), 0, 512).dollars
    assert second == pytest.approx(0.5 * listed.price["lambda_gb_second"])


def test_dollars_are_amounts_times_prices_after_what_is_free() -> None:
    prices = bill.Prices({"sqs_request": 0.4e-6, "alarm_month": 0.1}, {"sqs_request": 1e6}, {}, "2026-01-01", "here")
    used = bill.Usage({"sqs_request": 3e6, "alarm_month": 5})
    assert used.dollars(prices) == pytest.approx(1.7)
    assert used.dollars(prices, free=True) == pytest.approx(1.3)
    assert used.plus(used).dollars(prices) == pytest.approx(3.4)


def test_a_life_is_its_steps_together(flows: Mapping[str, Flow]) -> None:
    prices = bill.load()
    single = bill.lives(flows, prices)["single submit, worker batch 10"]
    steps = [flows[name] for name in ("submit one", SHORT_RUN, FEED)]
    assert single.calls == pytest.approx(sum(step.calls for step in steps))
    assert single.amount("write_unit") == pytest.approx(sum(step.writes for step in steps))
    assert single.amount("http_request") == 1
    assert single.amount("sqs_request") == pytest.approx(1.2)
    assert single.amount("lambda_request") == pytest.approx(1 + 1 / 10 + 1 / 33)


def test_a_run_costs_one_write_unit_an_edge_at_most_and_three_transitions(flows: Mapping[str, Flow]) -> None:
    """A job of a run is put into its lane when it is let go, not when it is made: what is dearer is that update."""
    shape = f"{WIDE + 2} jobs"
    edges, jobs = 2 * WIDE, WIDE + 2
    in_run = flows[f"submit a run of {shape}"].writes + flows[f"change feed of a run of {shape}"].writes
    counters = flows[f"change feed of a run of {shape}"].tally
    counted = sum(each.units for each in counters.charges if each.partition.startswith("tidegate-registry")) / jobs
    alone = flows["submit a hundred"].writes
    assert (in_run - counted - alone) * jobs / edges <= 1
    costs = bill.runs(flows, bill.load())
    assert {each.amount("state_transition") for each in costs.values()} == {3}


@pytest.mark.parametrize(("shape", "reads"), [("nodes", 3.7), ("for_each", 2.1)])
def test_a_wide_run_stays_within_the_limits_of_dynamodb_and_reads_no_more_for_a_job(
    stage: Stage, shape: str, reads: float
) -> None:
    """Though its change feed has five batches instead of two, and its join is looked at in each."""
    narrower, wider = (count(stage, shape, width, feed_batch=20) for width in (10, 40))
    assert wider.feed_reads < min(narrower.feed_reads, reads)
    assert wider.feed_writes < narrower.feed_writes
    assert wider.whole.largest_item < ITEM_LIMIT / 100
    assert wider.whole.largest_transaction <= TRANSACTION_LIMIT
    assert wider.most_written <= wider.jobs / 4


def test_the_targets_say_pass_and_miss(flows: Mapping[str, Flow]) -> None:
    prices = bill.load()
    table = bill.targets_table(flows, bill.lives(flows, prices), prices, {"dev": bill.Usage({"alarm_month": 100})})
    verdicts = {f"{row[0]} {row[1]}": row[4] for row in table.rows}
    assert verdicts["10 write units a job, its own"] == "pass"
    assert verdicts["15 $ of an idle month, stage dev, list prices"] == "MISS"


def test_a_budget_costs_a_query_now_and_then_and_the_feed_a_query_and_a_read_a_batch(stage: Stage) -> None:
    stage.app.ports.tenants.put_if_unchanged(Tenant(name="main", daily_budget=1.0, version=1), None)
    stage.cloud.clock.advance(10)
    stage.warm_policies()
    with stage.counting() as first:
        stage.post("/jobs", ONE)
    with stage.counting() as second:
        stage.post("/jobs", ONE)
    assert first.tally.requests == {"Query": 1, **second.tally.requests}
    assert second.tally.requests == {"PutItem": 1, "SendMessageBatch": 1}
    with stage.counting() as fed:
        stage.record([change for change in second.tally.changes if change[0] == "tidegate-jobs"])
    assert fed.tally.requests == {"TransactWriteItems": 1, "Query": 1, "GetItem": 1}
