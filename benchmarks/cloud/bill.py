"""From counts to dollars, and both against the targets."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report import Table, shown
from benchmarks.scale.model import LANE_KEYS, LANE_READS, TABLE_UNITS
from tidegate.adapters.aws.keys import SHARDS

from .flows import BUSY_FEED, BUSY_FEED_JOBS, FEED, FEED_JOBS, LONG_RUN, SHORT_RUN, Flow
from .runs import TRANSITIONS, WIDE
from .stage import BATCH

PRICES = Path(__file__).parents[2] / "shared" / "tidegate" / "prices.toml"
MILLION = 1_000_000
LONGER = "single submit, jobs that take longer"
_WRITES_A_KEY = 1_000.0
"""Write units that one partition key takes in a second, in a table or an index."""


@dataclass(slots=True)
class Prices:
    """`prices.toml`."""

    price: Mapping[str, float]
    free: Mapping[str, float]
    assumed: Mapping[str, Any]
    as_of: str
    region: str


def load(path: Path = PRICES) -> Prices:
    """The price file."""
    content = tomllib.loads(path.read_text())
    return Prices(content["price"], content["free"], content["assumed"], content["as_of"], content["region"])


@dataclass(slots=True)
class Usage:
    """How much of each priced thing is used."""

    units: dict[str, float] = field(default_factory=dict)
    calls: float = 0.0
    """Requests that our code makes (SDK calls)."""

    def add(self, thing: str, amount: float) -> None:
        """Use more of something."""
        self.units[thing] = self.units.get(thing, 0.0) + amount

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        both = Usage(dict(self.units), self.calls + other.calls)
        for thing, amount in other.units.items():
            both.add(thing, amount)
        return both

    def times(self, factor: float) -> Usage:
        """So many times as much."""
        return Usage({thing: amount * factor for thing, amount in self.units.items()}, self.calls * factor)

    def dollars(self, prices: Prices, *, free: bool = False) -> float:
        """What it costs; `free`: after what every account is given each month."""
        given = prices.free if free else {}
        return sum(max(0.0, amount - given.get(thing, 0)) * prices.price[thing] for thing, amount in self.units.items())

    def amount(self, thing: str) -> float:
        """How much of one thing."""
        return self.units.get(thing, 0.0)


def usage(flow: Flow, function: str, invocations: float, prices: Prices) -> Usage:
    """What one job (or call) of a flow uses, when a job needs this share of an invocation of the function."""
    assumed, used = prices.assumed, Usage(calls=flow.calls)
    seconds = (assumed["base_ms"] * invocations + assumed["request_ms"] * flow.calls) / 1000
    used.add("lambda_request", invocations)
    used.add("lambda_gb_second", seconds * assumed["memory_gb"][function])
    used.add("sqs_request", flow.sqs)
    used.add("write_unit", flow.writes)
    used.add("read_unit", flow.reads)
    used.add("log_gb", (flow.log_bytes / flow.units + assumed["platform_log_bytes"] * invocations) / 1e9)
    return used


def lives(flows: Mapping[str, Flow], prices: Prices) -> dict[str, Usage]:
    """The whole life of a job: HTTP, record, ticket, claim, result, counters."""
    run, long_run = (usage(flows[name], "worker", 1 / BATCH, prices) for name in (SHORT_RUN, LONG_RUN))
    for each in (run, long_run):
        each.add("sqs_request", 2 / BATCH)  # Lambda receives and deletes the tickets of a batch
    feed, busy_feed = (
        usage(flows[name], "changes", 1 / jobs, prices)
        for name, jobs in ((FEED, FEED_JOBS), (BUSY_FEED, BUSY_FEED_JOBS))
    )
    single = usage(flows["submit one"], "api", 1, prices)
    single.add("http_request", 1)
    single.add("log_gb", prices.assumed["access_log_bytes"] / 1e9)
    batched = usage(flows["submit a hundred"], "api", 1 / 100, prices)
    batched.add("http_request", 1 / 100)
    batched.add("log_gb", prices.assumed["access_log_bytes"] / 100 / 1e9)
    retry = usage(flows["run and fail"], "worker", 1 / BATCH, prices)
    retry.add("sqs_request", 1 / BATCH)  # a ticket that is kept is received again, and not deleted
    named = usage(flows["submit with an id of one's own"], "api", 1, prices)
    named.add("http_request", 1)
    named.add("log_gb", prices.assumed["access_log_bytes"] / 1e9)
    rest, busy, longer = run.plus(feed), run.plus(busy_feed), long_run.plus(feed)
    return {
        "single submit, worker batch 10": single.plus(rest),
        "batch submit 100, worker batch 10": batched.plus(rest),
        "single submit, busy change feed": single.plus(busy),
        "batch submit 100, busy change feed": batched.plus(busy),
        LONGER: single.plus(longer),
        "batch submit 100, jobs that take longer": batched.plus(longer),
        "single submit with an id of one's own": named.plus(rest),
        "each retry, more": retry.plus(usage(flows[FEED], "changes", 2 / (3 * FEED_JOBS), prices)),
    }


def runs(flows: Mapping[str, Flow], prices: Prices) -> dict[str, Usage]:
    """What a run of a DAG costs beyond what its jobs cost as single ones: its supervisor, and letting jobs go."""
    return {f"a run of {jobs} jobs": _run(flows, prices, jobs) for jobs in (4, WIDE + 2)}


def _run(flows: Mapping[str, Flow], prices: Prices, jobs: int) -> Usage:
    shape = f"{jobs} jobs"
    used = Usage()
    used.add("state_transition", TRANSITIONS)
    for name, function, times, invocations in (
        (f"submit a run of {shape}", "api", jobs, 1),
        (f"supervise a run of {shape}", "dag", 1, 2),
        (f"close a run of {shape}", "dag", 1, 1),
        (f"change feed of a run of {shape}", "changes", jobs, 1),
    ):
        used = used.plus(usage(flows[name], function, invocations / times, prices).times(times))
    feed = usage(flows[FEED], "changes", 1 / FEED_JOBS, prices)
    alone = usage(flows["submit a hundred"], "api", 1 / 100, prices).plus(feed)
    return used.plus(alone.times(-jobs))


def runs_table(flows: Mapping[str, Flow], prices: Prices) -> Table:
    """Dollars per million runs, beyond their jobs."""
    things = ("state_transition", "lambda_gb_second", "write_unit", "read_unit")
    table = Table("Cloud, counted: a run of a DAG beyond its jobs, $ per million runs", ("", "$/M", *things))
    for name, each in runs(flows, prices).items():
        parts = (each.amount(thing) * prices.price[thing] * MILLION for thing in things)
        table.add(name, f"{each.dollars(prices) * MILLION:.2f}", *(f"{part:.2f}" for part in parts))
    table.notes.append(
        f"{TRANSITIONS} transitions whatever the number of jobs; each deadline that passes adds two. "
        "The counters are written for each of the run's few batches, as in a stage that does nothing else."
    )
    return table


def counts_table(flows: Mapping[str, Flow]) -> Table:
    """The counted flows."""
    table = Table(
        "Cloud, counted: what each step asks of AWS",
        ("", "for one", "SDK calls", "of them billed by SQS", "write units", "read units", "own log bytes", "calls"),
    )
    for flow in flows.values():
        requests = ", ".join(f"{count} {name}" for name, count in flow.tally.requests.most_common())
        log_bytes = round(flow.log_bytes / flow.units)
        table.add(flow.name, flow.per, *flow.counts().values(), log_bytes, f"{requests} for {flow.units}")
    return table


def bill_table(used: Mapping[str, Usage], prices: Prices) -> Table:
    """Dollars per million jobs."""
    things = ("http_request", "lambda_request", "lambda_gb_second", "sqs_request", "write_unit", "read_unit", "log_gb")
    table = Table(
        f"Cloud, counted: a job's whole life, $ per million jobs ({prices.region} list prices of {prices.as_of})",
        ("", "$/M", "SDK calls/job", *things, "log bytes/job"),
    )
    for name, each in used.items():
        dollars = each.dollars(prices) * MILLION
        parts = (each.amount(thing) * prices.price[thing] * MILLION for thing in things)
        table.add(name, f"{dollars:.2f}", each.calls, *(f"{part:.2f}" for part in parts), each.amount("log_gb") * 1e9)
    table.notes.append(
        "The counters' share (change feed) is included. Not included: the job's own computing, storage, data leaving "
        "AWS, and the authorizer, which API Gateway asks once a minute for each token. Durations are assumed, see "
        "`shared/tidegate/prices.toml`."
    )
    return table


def targets_table(
    flows: Mapping[str, Flow], used: Mapping[str, Usage], prices: Prices, idle: Mapping[str, Usage]
) -> Table:
    """Counts and dollars against what was set out to be reached; `idle` are the months of stages."""
    single, batched, busy, busy_batched = list(used.values())[:4]
    own = flows["submit one"].writes + flows[SHORT_RUN].writes
    hottest = [flow.tally.hottest() for flow in _both(flows)]
    on_key = sum(charge.units / flow.units for charge, flow in zip(hottest, _both(flows), strict=True))
    table = Table("Cloud, counted: against the targets", ("#", "what", "counted", "target", "", "moonshot", ""))

    def add(number: str, what: str, value: float, target: float, moonshot: float, at_least: bool = False) -> None:
        reached = [value >= limit if at_least else value <= limit for limit in (target, moonshot)]
        sign = "≥" if at_least else "≤"
        cells = [f"{sign} {shown(target)}", _verdict(reached[0]), f"{sign} {shown(moonshot)}", _verdict(reached[1])]
        table.add(number, what, f"{value:.2f}" if value < 100 else shown(value), *cells)

    add("9", "$ per million jobs, single", single.dollars(prices) * MILLION, 5.0, 3.9)
    add("9", "$ per million jobs, single, busy feed", busy.dollars(prices) * MILLION, 5.0, 3.9)
    add("9", "$ per million jobs, batched", batched.dollars(prices) * MILLION, 3.4, 2.3)
    add("9", "$ per million jobs, batched, busy feed", busy_batched.dollars(prices) * MILLION, 3.4, 2.3)
    add("10", "write units a job, its own", own, 5, 4)
    add("10", "write units a job, with the counters", single.amount("write_unit"), 5, 4)
    add("10", "write units a job, with the counters, busy feed", busy.amount("write_unit"), 5, 4)
    add("10", "write units a retry, its own", flows["run and fail"].writes, 3, 2)
    add("11", "SDK calls a job, single", single.calls, 4.1, 2.2)
    add("11", "SDK calls a job, batched", batched.calls, 2.3, 0.35)
    of_a_tenant, of_a_lane = SHARDS * _WRITES_A_KEY / TABLE_UNITS, _WRITES_A_KEY / on_key
    for what, carried in (
        ("one tenant, by its keys of the table, by default", of_a_tenant),
        ("one queue, by default", of_a_lane),
        (f"one queue of {LANE_KEYS} keys", min(LANE_KEYS * of_a_lane, LANE_READS)),
    ):
        add("14", f"jobs a second of {what}", carried, 5_000, 13_000, at_least=True)
    for stage, month in idle.items():
        idle_month = f"$ of an idle month, stage {stage}"
        add("15", f"{idle_month}, list prices", month.dollars(prices), 1.0, 0.5)
        add(
            "15",
            f"$ of an idle month, stage {stage}, after what is always free",
            month.dollars(prices, free=True),
            1,
            0.5,
        )
    add("15", "log bytes a job, single", single.amount("log_gb") * 1e9, 500, 150)
    add("15", "log bytes a job, batched", batched.amount("log_gb") * 1e9, 500, 150)
    table.notes.append(
        f"The hottest key of a lane is `{hottest[0].partition}`"
        + (f" of the index `{hottest[0].of_index}`" if hottest[0].of_index else "")
        + f", which takes {on_key:g} write units a job of {_WRITES_A_KEY:,.0f} a second."
    )
    return table


def _both(flows: Mapping[str, Flow]) -> tuple[Flow, Flow]:
    return flows["submit a hundred"], flows[SHORT_RUN]


def _verdict(reached: bool) -> str:
    return "pass" if reached else "MISS"
