"""A run as it is asked for: nodes, what they depend on, and how they join."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from tidegate.domain.ids import is_uuid7
from tidegate.domain.job import Json, Ms

from .conditions import Condition, Steps

MAX_NODES = 10_000
MAX_EDGES = 50_000
MAX_ITEMS = 10_000

NODE_ID_RULE = "must be 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit"
_NODE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9][A-Za-z0-9._-]{0,63}){0,5}")
"""Nodes of a run in a run have the names of the runs around them before their own."""


class Join(StrEnum):
    """When a node with several parents may start."""

    ALL_ACTIVE = "all_active"
    """Every parent that was not skipped COMPLETED; when all were skipped, so is the node."""
    ALL_SUCCESS = "all_success"
    """Every parent COMPLETED."""
    ANY = "any"
    """One parent COMPLETED; the others are not waited for."""
    N_OF = "n_of"
    """`join_count` parents COMPLETED."""
    ALL_DONE = "all_done"
    """Every parent ended, however: for clean-up."""


class FailurePolicy(StrEnum):
    """What the first failure of a node means for the run."""

    FAIL_FAST = "fail_fast"
    """Nothing new is started; running jobs are asked to stop; clean-up nodes run."""
    CONTINUE = "continue"
    """Whatever does not hang on the failed node goes on."""


class Choice(Protocol):
    """A branch or a switch."""

    @property
    def word(self) -> str:
        """What it is called in a request."""

    @property
    def targets(self) -> tuple[str, ...]:
        """All nodes that it may lead to."""

    @property
    def looks_at(self) -> frozenset[str]:
        """The upstream nodes that it looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """One node: a job, and what it waits for."""

    id: str
    job: Mapping[str, Any] | None
    """Fields of the job's submission (`name`, `data`, `queue`, `priority`, …); None for a node that is known to be
    wrong, in a run that is about to be refused."""
    place: str = ""
    """Where it stands in the request, for what is wrong with it; by its number if that is not said."""
    built_in: bool = False
    """Whether its job is one of Tidegate's own."""
    depends_on: tuple[str, ...] = ()
    join: Join = Join.ALL_ACTIVE
    join_count: int | None = None
    when: Condition | None = None
    for_each: Steps | None = None
    """Path to a list in an upstream result: the job runs once for each entry, and the node's result is the list of
    their results, in order."""
    choice: Choice | None = None
    """What a node chooses that runs nothing of its own."""
    taken_by: tuple[str, ...] = ()
    """The nodes that may choose this one: it is skipped unless one of them does. They are in `depends_on` too."""
    cleanup: bool = False
    """Runs also when the run failed or was cancelled, after all that it depends on has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DagSpec:
    """One run. Times are `Ms`."""

    name: str
    nodes: tuple[NodeSpec, ...]
    failure_policy: FailurePolicy = FailurePolicy.FAIL_FAST
    soft_sla: Ms | None = None
    hard_sla: Ms | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    dag_id: str | None = None
    definition: str | None = None
    """`name@version` of the definition that it was made from."""
    asked: str | None = None
    """Digest of the request, where a definition filled in the rest: what tells equal requests apart from others."""
    idempotency_key: str | None = None
    """Stands for the run's id where that is not given: the same key of the same user is the same run."""
    task_token: str | None = None


def outside(name: str) -> tuple[str, str] | None:
    """Run and node of a name such as `0197f2a4-…:extract`, which is a node of another run; None for any other name."""
    dag_id, colon, node = name.partition(":")
    return (dag_id, node) if colon and is_uuid7(dag_id) and is_node_id(node) else None


def is_node_id(value: Json) -> bool:
    """Whether `value` may name a node."""
    return isinstance(value, str) and _NODE_ID.fullmatch(value) is not None
