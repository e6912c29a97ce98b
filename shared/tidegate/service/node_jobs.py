"""The jobs of a run's nodes: made and checked all together, before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidegate.domain.caller import Caller
from tidegate.domain.dag.faults import Fault
from tidegate.domain.dag.run import GATHER, node_job_id
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.domain.dag.validate import check_dag
from tidegate.domain.errors import InvalidInput, NotFound, TidegateError, Unavailable
from tidegate.domain.job import Job, Ms
from tidegate.domain.queue import Queue
from tidegate.domain.spec import JobSpec, check_horizon, new_job
from tidegate.ports import Ports

from .allowed import check_allowed
from .definitions import spec_from
from .expectations import Expectations
from .fares import cost_of_accepting
from .other_runs import faults_of_others
from .payloads import blob_key, offloaded
from .policies import queue_named, tenant_named
from .tenants import check_payloads

INLINE_PARENTS = 100
"""A job names so many of the nodes that it waits for; those of wider joins are in the graph."""


def checked_jobs(
    ports: Ports, caller: Caller, spec: DagSpec, run_id: str, now: Ms, faults: Sequence[Fault] = ()
) -> list[Job]:
    """Every node's job, with its data as sent. `faults` are those that the request's words have.

    Raises one InvalidInput naming all that is wrong: with the words, with the graph, with the jobs.
    """
    maker = _Maker(ports, caller, run_id, now)
    jobs: list[Job] = []
    wrong: list[Fault] = []
    for index, node in enumerate(spec.nodes):
        if node.job is None:
            continue
        try:
            jobs.append(maker.job(node, _asked(ports, caller, node.job)))
        except Unavailable:
            raise  # nothing is wrong with the node: nobody knows
        except TidegateError as error:
            wrong += Fault.all_in(error, node.place or f"nodes.{index}")
    check_dag(spec, faults, [*faults_of_others(ports, caller, spec), *wrong])
    return jobs


def ready_to_store(ports: Ports, job: Job) -> Job:
    """The job with its data in a blob where that is too large for the table. How long it is kept, its run says."""
    data, data_ref = offloaded(ports.blobs, "data", lambda: blob_key(job, "data"), job.data)
    return replace(job, data=data, data_ref=data_ref, keep_until=None)


def _asked(ports: Ports, caller: Caller, job: Mapping[str, Any]) -> JobSpec:
    """What a node asks for, with the help of the definition that it names. Raises InvalidInput."""
    if job.get("definition") is None:
        return JobSpec(**job)
    return spec_from(ports, caller.tenant, job["definition"], {k: v for k, v in job.items() if k != "definition"})


class _Maker:
    """Makes the jobs of one run; queues and usual durations are read once."""

    def __init__(self, ports: Ports, caller: Caller, run_id: str, now: Ms) -> None:
        self._ports = ports
        self._caller = caller
        self._run_id = run_id
        self._now = now
        self._tenant = tenant_named(ports, caller.tenant)
        self._expectations = Expectations(ports)
        self._queues: dict[str, Queue] = {}

    def job(self, node: NodeSpec, asked: JobSpec) -> Job:
        """A node's job. Raises InvalidInput."""
        if asked.unique_key is not None:
            raise InvalidInput.field("unique_key", "a node takes none: its job is made once for each run")
        if asked.task_token is not None:
            raise InvalidInput.field("task_token", "a node takes none: the run does")
        check_allowed(self._ports, asked, built_in=node.built_in or node.choice is not None)
        check_horizon(asked, self._now)
        check_payloads(self._tenant, asked)
        queue = self._queue(asked.queue)
        job = new_job(
            asked,
            queue,
            job_id=node_job_id(self._run_id, node.id),
            owner=self._caller.user,
            now=self._now,
            expected_ms=self._expectations.steering(queue, asked.name),
            correlation=self._caller.correlation,
            cost=cost_of_accepting(),
        )
        if node.for_each is not None:
            job = replace(job, name=GATHER, data={"job": {"name": asked.name, "data": asked.data}})
        return replace(
            job,
            dag_id=self._run_id,
            node=node.id,
            dependencies=node.depends_on if len(node.depends_on) <= INLINE_PARENTS else (),
            blocked=True,
            wake_at=None,
            counted=False,
        )

    def _queue(self, name: str) -> Queue:
        if name not in self._queues:
            try:
                self._queues[name] = queue_named(self._ports, self._caller.tenant, name)
            except NotFound as error:
                raise InvalidInput.field("queue", error.message) from error
        return self._queues[name]
