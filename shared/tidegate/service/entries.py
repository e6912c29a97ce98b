"""The entries of a node with `for_each`: a job for each, made once the list is known, gathered once all have ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate.domain import guarded
from tidegate.domain.dag.joins import End
from tidegate.domain.dag.run import Run, entries_of, item_node, node_job_id
from tidegate.domain.dag.spec import MAX_ITEMS
from tidegate.domain.errors import Unavailable
from tidegate.domain.job import Job
from tidegate.ports import Ports

from .announce import announce, remember_lanes
from .fares import cost_of_accepting
from .looks import Looks
from .payloads import blob_key, offloaded, with_payloads

_CHUNK = 100
_TRIES = 5


def fan_out(ports: Ports, run: Run, job: Job, entries: Any) -> Job:
    """Give every entry of the list a job, and note on the node's own how many they are; it waits for those.

    The entries' ids are made from their numbers, so that it may be done again; the first to note their number
    decides it. A list that is none, or too long, fails the node's own job with the reason once that runs.
    Raises Unavailable when others keep changing that job.
    """
    full = with_payloads(ports.blobs, job)
    count = len(entries) if isinstance(entries, list) and len(entries) <= MAX_ITEMS else -1
    for start in range(0, max(count, 0), _CHUNK):
        numbered = list(enumerate(entries[start : start + _CHUNK], start))
        made = [_entry_job(ports, run, full, number, entry) for number, entry in numbered]
        remember_lanes(ports, made)
        existing = ports.jobs.create(made)
        announce(ports, [new for new, old in zip(made, existing, strict=True) if old is None])
    template = full.data["job"] if job.data_ref is None else {**full.data["job"], "data": None}  # the entries have it
    noted = {**full.data, "job": template, "entries": count}
    for _ in range(_TRIES):
        (outcome,) = ports.jobs.apply([guarded.fan_out_if_blocked(job, noted, ports.now())])
        job = outcome.job or job
        if outcome.applied or outcome.job is None or not job.blocked or entries_of(job) is not None:
            return job
    raise Unavailable(f"job '{job.id}' keeps changing")


def ends_of_entries(looks: Looks, job: Job, count: int) -> Mapping[str, End | None]:
    """How the entries of a fanned-out node ended; reading stops at the first chunk with an open one."""
    node = job.node or ""
    stands = looks.until_open(f"{node}[]", [item_node(node, number) for number in range(count)])
    return {name: stand.end for name, stand in stands.items()}


def _entry_job(ports: Ports, run: Run, node_job: Job, number: int, entry: Any) -> Job:
    now = ports.now()
    node = item_node(node_job.node or "", number)
    template = node_job.data["job"]
    given = template["data"] if isinstance(template["data"], dict) else {"data": template["data"]}
    made = replace(
        node_job,
        id=node_job_id(run.id, node),
        node=node,
        name=template["name"],
        data={**given, "item": entry, "index": number},
        data_ref=None,
        blocked=False,
        **guarded.times_of_release(node_job, now),
        created_at=now,
        updated_at=now,
        cost=cost_of_accepting(),
        rank=node_job.rank,
        dependencies=node_job.dependencies,
    )
    data, ref = offloaded(ports.blobs, "data", lambda: blob_key(made, "data"), made.data)
    return replace(made, data=data, data_ref=ref)
