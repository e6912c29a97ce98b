"""What a job costs in the cloud: what its steps ask of AWS and what its handler computes, times list prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars of one unit each, what is assumed, and what each step of a job asks for: see `prices.toml`."""

    price: Mapping[str, float]
    assumed: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]]
    as_of: str
    region: str


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
    """The memory that a worker is taken to have."""
    prices_as_of: str
    region: str


def estimated(prices: Prices, handler_ms: int) -> Estimate:
    """The estimate for a job whose handler runs so many milliseconds."""
    steps = prices.steps.values()
    memory: Mapping[str, float] = prices.assumed["memory_gb"]
    computing = handler_ms / 1000 * memory["worker"] * prices.price["lambda_gb_second"]
    return Estimate(
        dollars=round(sum(_dollars(prices, step) for step in steps) + computing, 12),
        requests=_sum(prices, "calls"),
        write_units=_sum(prices, "writes"),
        read_units=_sum(prices, "reads"),
        handler_ms=handler_ms,
        memory_mb=round(memory["worker"] * 1024),
        prices_as_of=prices.as_of,
        region=prices.region,
    )


def _dollars(prices: Prices, step: Mapping[str, Any]) -> float:
    assumed, price = prices.assumed, prices.price
    milliseconds = assumed["base_ms"] * step["invocations"] + assumed["request_ms"] * step["calls"]
    return float(
        step["http_requests"] * price["http_request"]
        + step["invocations"] * price["lambda_request"]
        + milliseconds / 1000 * assumed["memory_gb"][step["function"]] * price["lambda_gb_second"]
        + step["sqs"] * price["sqs_request"]
        + step["writes"] * price["write_unit"]
        + step["reads"] * price["read_unit"]
    )


def _sum(prices: Prices, thing: str) -> float:
    return round(sum(float(step[thing]) for step in prices.steps.values()), 4)
