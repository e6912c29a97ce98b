"""What a job costs in the cloud: what its steps ask of AWS and what its handler computes, times list prices.

What was spent is kept in nano-dollars, as whole numbers, so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NANO = 1_000_000_000
"""Nano-dollars of a dollar."""
_ATTEMPT = "attempt"
"""The step of a job's life that is repeated with each attempt."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars of one unit each, what is assumed, and what each step of a job asks for: see `prices.toml`."""

    price: Mapping[str, float]
    assumed: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]]
    as_of: str
    region: str


@dataclass(frozen=True, slots=True)
class Fare:
    """What an attempt costs, in nano-dollars: once, and for each second that its handler runs."""

    start: int = 0
    second: int = 0


FREE = Fare()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one job will use if its first attempt succeeds. Storage, transfer and log lines are not in it."""

    dollars: float
    requests: float
    """To AWS, of Tidegate's own code."""
    write_units: float
    read_units: float
    handler_ms: int
    """How long its handler is taken to run."""
    memory_mb: int
    """The memory of a worker of its pool; 0 where the pool has no Lambda, so that its computing is not AWS's."""
    prices_as_of: str
    region: str


def estimated(prices: Prices, handler_ms: int, memory_mb: int) -> Estimate:
    """The estimate for a job whose handler runs so many milliseconds in a worker with so much memory."""
    gb = memory_mb / 1024
    accepting = sum(_dollars(prices, step) for step in _steps_once(prices))
    attempt = _dollars(prices, prices.steps[_ATTEMPT], gb) + handler_ms / 1000 * _second(prices, gb)
    return Estimate(
        dollars=round(accepting + attempt, 12),
        requests=_sum(prices, "calls"),
        write_units=_sum(prices, "writes"),
        read_units=_sum(prices, "reads"),
        handler_ms=handler_ms,
        memory_mb=memory_mb,
        prices_as_of=prices.as_of,
        region=prices.region,
    )


def accepting(prices: Prices) -> int:
    """What it costs to take in one job, to count it and to tell of it, whatever becomes of it, in nano-dollars."""
    return round(sum(_dollars(prices, step) for step in _steps_once(prices)) * NANO)


def fare(prices: Prices, memory_mb: int) -> Fare:
    """What attempts cost in a worker with so much memory; 0: on a machine that is not paid for by the second."""
    gb = memory_mb / 1024
    return Fare(round(_dollars(prices, prices.steps[_ATTEMPT], gb) * NANO), round(_second(prices, gb) * NANO))


def dollars(nano: int) -> float:
    """So many nano-dollars in dollars."""
    return nano / NANO


def _steps_once(prices: Prices) -> list[Mapping[str, Any]]:
    return [step for name, step in prices.steps.items() if name != _ATTEMPT]


def _second(prices: Prices, gb: float) -> float:
    return gb * prices.price["lambda_gb_second"]


def _dollars(prices: Prices, step: Mapping[str, Any], gb: float | None = None) -> float:
    """The price of a step, its function with so much memory; as `infra/` deploys it unless told."""
    assumed, price = prices.assumed, prices.price
    gb = assumed["memory_gb"][step["function"]] if gb is None else gb
    milliseconds = assumed["base_ms"] * step["invocations"] + assumed["request_ms"] * step["calls"]
    return float(
        step["http_requests"] * price["http_request"]
        + step["invocations"] * price["lambda_request"]
        + milliseconds / 1000 * gb * price["lambda_gb_second"]
        + step["sqs"] * price["sqs_request"]
        + step["writes"] * price["write_unit"]
        + step["reads"] * price["read_unit"]
    )


def _sum(prices: Prices, thing: str) -> float:
    return round(sum(float(step[thing]) for step in prices.steps.values()), 4)
