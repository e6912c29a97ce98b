"""Runs as wide as they may be, counted: one node, then ten thousand beside each other, then one that needs them all.

What is counted is what the run itself asks for: its submission, its supervisor, and its change feed, which gets its
records in batches as the deployed mapping gathers them. The jobs beside each other are put as their workers would have
left them, where that is not to be counted; else they run ten at a time, as Lambda hands them over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from benchmarks.report import Table
from support.aws import JOBS
from tidegate.adapters.aws.records import JOB, job_of
from tidegate.domain.dag.spec import MAX_NODES
from tidegate.domain.job import State

from .runs import TRANSITIONS, fan
from .stage import Stage
from .watch import KEY, Change, Tally

PUTS_AT_ONCE = 25

FEED_BATCH = 500
"""As in `infra/changes.py`: what a busy stage's change feed is handed at once."""
ITEM_LIMIT, TRANSACTION_LIMIT, KEY_LIMIT = 400 * 1024, 100, 1_000
"""Of DynamoDB: bytes of an item, actions of a transaction, write units that a partition key takes in a second."""


@dataclass(frozen=True, slots=True)
class Wide:
    """What a run asked for: all in all, and its change feed alone."""

    shape: str
    jobs: int
    edges: int
    whole: Tally
    feed: Tally

    @property
    def feed_reads(self) -> float:
        """Read units of the change feed, for a job."""
        return self.feed.read_units / self.jobs

    @property
    def feed_writes(self) -> float:
        """Write units of the change feed, for a job."""
        return self.feed.write_units / self.jobs

    @property
    def most_written(self) -> int:
        """Writes of the item that was written most often."""
        return max(self.whole.written.values())


def by_nodes(width: int) -> Mapping[str, Any]:
    """1 → width → 1, each job a node of the run, which has no more nodes than a run may have."""
    return fan(min(width, MAX_NODES - 2))


def by_list(width: int) -> Mapping[str, Any]:
    """1 → width → 1, the jobs made of the entries of a list that the first one answers."""
    first = {"id": "first", "name": "listed", "data": {"width": width}}
    each = {"id": "each", "name": "noop", "depends_on": ["first"], "for_each": "$.first.result"}
    return {"name": "bench", "nodes": [first, each, {"id": "last", "name": "noop", "depends_on": ["each"]}]}


SHAPES: Mapping[str, Callable[[int], Mapping[str, Any]]] = {"nodes": by_nodes, "for_each": by_list}


def count(stage: Stage, shape: str, width: int, feed_batch: int = FEED_BATCH, *, with_workers: bool = True) -> Wide:
    """Let a run of this shape and width go through. Raises AssertionError when it does not COMPLETE."""
    whole, feed = Tally(), Tally()
    with stage.counting() as counted:
        dag_id = stage.post("/dags", SHAPES[shape](width))["dag_id"]
        stage.supervise("release", dag_id)
        stage.supervise("wait", dag_id)
    whole.add(counted.tally)
    waiting = _of_jobs(counted.tally)
    while True:
        with stage.counting() as counted:
            served = stage.work()
        whole.add(counted.tally)
        waiting += _of_jobs(counted.tally)
        if served and len(waiting) < feed_batch:
            continue
        if not waiting:
            break
        with stage.counting() as counted:
            stage.record(waiting[:feed_batch])
        whole.add(counted.tally)
        feed.add(counted.tally)
        waiting = [*waiting[feed_batch:], *_of_jobs(counted.tally)]
        if not with_workers:
            waiting += _as_if_run(stage, counted.tally)
    with stage.counting() as counted:
        stage.supervise("close", dag_id)
    whole.add(counted.tally)
    run = next(each for each in stage.get("/dags")["dags"] if each["id"] == dag_id)
    assert run["state"] == "COMPLETED", run
    jobs = run["progress"]["total_jobs"]
    return Wide(shape, jobs, _edges(shape, jobs), whole, feed)


def _as_if_run(stage: Stage, tally: Tally) -> list[Change]:
    """Put the jobs beside each other that were just let go as their workers would leave them; answers their changes."""
    changes: list[Change] = []
    for _, old, image in _of_jobs(tally):
        job = None if image is None else job_of(image)
        if job is None or image is None or job.blocked or not _is_beside_others(job.node or "") or image == old:
            continue
        active = replace(job, state=State.ACTIVE, attempt=1, worker_id="w-1", started_at=job.updated_at)
        done = replace(active, state=State.COMPLETED, completed_at=job.updated_at, result=1)
        place = {name: image[name] for name in KEY}
        images = [image, *({**place, **JOB.dump(each)} for each in (active, done))]
        changes += [(JOBS, *pair) for pair in pairwise(images)]
    client = stage.cloud.clients.dynamodb
    for chunk in _batched([new for _, _, new in changes[1::2]], PUTS_AT_ONCE):
        puts = [{"PutRequest": {"Item": item}} for item in chunk]
        assert not client.batch_write_item(RequestItems={JOBS: puts})["UnprocessedItems"]
    if changes:
        stage.drop_tickets()
    return changes


def _is_beside_others(node: str) -> bool:
    return node.startswith("m") or "[" in node


def _batched(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The items in chunks."""
    return (items[start : start + size] for start in range(0, len(items), size))


def table(stage: Stage, width: int) -> Table:
    """Both shapes at a twentieth of the width, and at the width."""
    found = Table(
        f"Cloud, counted: runs of 1 → {width:,} → 1",
        ("made of", "jobs", "edges", "feed: read units a job", "feed: write units a job", "in all: write units an edge",
         "largest item, bytes", "largest transaction", "most writes of one item", "of one key of the table, WU",
         "of one key of the index, WU", "state transitions"),
    )  # fmt: skip
    for shape in SHAPES:
        for each in (width // 20, width):
            wide = count(stage, shape, each, with_workers=False)
            stage.forget_lanes()
            table_key, index_key = (wide.whole.hottest(of_index=indexed).units for indexed in (False, True))
            found.add(
                wide.shape, wide.jobs, wide.edges, wide.feed_reads, wide.feed_writes,
                wide.whole.write_units / wide.edges, wide.whole.largest_item, wide.whole.largest_transaction,
                wide.most_written, table_key, index_key, TRANSITIONS,
            )  # fmt: skip
    found.notes.append(
        f"DynamoDB's limits are {ITEM_LIMIT:,} bytes of an item, {TRANSACTION_LIMIT} actions of a transaction, and "
        f"{KEY_LIMIT:,} write units a second on one key. The change feed had batches of {FEED_BATCH}. What the "
        "jobs' workers write is not in it."
    )
    return found


def _edges(shape: str, jobs: int) -> int:
    """Into each job in the middle and out of it; with `for_each` they meet in the job that gathers, before the last."""
    return 2 * (jobs - 2) if shape == "nodes" else 2 * (jobs - 3) + 1


def _of_jobs(tally: Tally) -> list[Change]:
    return [change for change in tally.changes if change[0] == JOBS]
