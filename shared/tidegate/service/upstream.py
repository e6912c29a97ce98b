"""What the nodes before a job came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tidegate.domain.dag.joins import End
from tidegate.domain.dag.run import end_of, entries_of, item_node, node_job_id, node_of_item
from tidegate.domain.errors import Conflict
from tidegate.domain.job import Job, Json, State
from tidegate.ports import JobKey, Ports

from .payloads import with_payloads


@dataclass(frozen=True, slots=True)
class Upstream:
    """One node before: how it ended, and its result (None unless COMPLETED)."""

    job_id: str
    state: State
    result: Json


def upstream_of(ports: Ports, job: Job) -> Mapping[str, Upstream]:
    """The nodes that a job of a run depends on, with their results; empty for a job of no run."""
    return dict(upstream_from(ports, job))


def upstream_from(ports: Ports, job: Job, first: int = 0) -> Iterator[tuple[str, Upstream]]:
    """Like `upstream_of`, one node after the other, from the one at this position on."""
    if job.dag_id is None or job.node is None:
        return
    nodes = (job.dependencies or _in_graph(ports, job.tenant, job.dag_id, job.node))[first:]
    keys = [JobKey(job.tenant, node_job_id(job.dag_id, node)) for node in nodes]
    for node, found in zip(nodes, ports.jobs.get(keys) if keys else (), strict=True):
        if found is not None:
            full = with_payloads(ports.blobs, found)
            yield node, Upstream(full.id, full.state, full.result)


def gather(ports: Ports, job: Job) -> list[Json]:
    """The results of a fanned-out node's entries, in order; None for an entry that was skipped. Raises Conflict."""
    return list(gather_from(ports, job))


def gather_from(ports: Ports, job: Job, first: int = 0) -> Iterator[Json]:
    """Like `gather`, one result after the other, from the entry of this number on.

    Raises Conflict when the list that it was to run over was none or too long, or when an entry failed.
    """
    count = entries_of(job)
    if count is None or not isinstance(job.data, dict) or job.data["entries"] < 0:
        raise Conflict("for_each did not lead to a list of at most 10000 entries in the upstream results")
    dag_id, node = job.dag_id or "", job.node or ""
    keys = [JobKey(job.tenant, node_job_id(dag_id, item_node(node, number))) for number in range(first, count)]
    found = ports.jobs.get(keys) if keys else []
    torn = [each.node for each in found if each is not None and end_of(each) is End.BROKEN]
    if torn:
        raise Conflict(f"{len(torn)} of {count} entries did not succeed: {', '.join(map(str, torn[:5]))}")
    for each in found:
        yield None if each is None else with_payloads(ports.blobs, each).result


def _in_graph(ports: Ports, tenant: str, dag_id: str, name: str) -> tuple[str, ...]:
    from .release import Engine  # for nodes with many parents alone: a worker starts sooner without

    run = ports.dags.get(tenant, dag_id)
    if run is None:
        return ()
    return Engine(ports).graph(run).vertex(node_of_item(name) or name).depends_on
