"""What is charged for jobs, from the dated price file."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from tidegate.domain import cost
from tidegate.domain.cost import Fare, Prices
from tidegate.ports import Ports

_FILE = Path(__file__).parents[1] / "prices.toml"


@cache
def prices() -> Prices:
    """The dated price file."""
    content = tomllib.loads(_FILE.read_text())
    return Prices(content["price"], content["assumed"], content["job"], content["as_of"], content["region"])


@cache
def cost_of_accepting() -> int:
    """What each job costs from the moment it is stored, in nano-dollars."""
    return cost.accepting(prices())


def fare_of(ports: Ports) -> Fare:
    """What the attempts cost that this process claims."""
    return _fare(ports.own_memory)


@cache
def _fare(memory_mb: int) -> Fare:
    return cost.fare(prices(), memory_mb)


def memory_of(ports: Ports, pool: str) -> int:
    """The MB that jobs of a pool are paid for by the second; 0 where it has no Lambda."""
    return ports.lambda_pools.get(pool, ports.own_memory)
