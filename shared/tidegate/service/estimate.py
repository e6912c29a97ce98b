"""What a job would cost, without submitting it."""

from __future__ import annotations

from tidegate.domain.caller import Caller
from tidegate.domain.cost import Estimate, estimated
from tidegate.domain.job import Job
from tidegate.domain.spec import JobSpec
from tidegate.ports import Ports

from .expectations import Expectations
from .fares import memory_of, prices
from .submit import check_job


def estimate_job(ports: Ports, caller: Caller, spec: JobSpec) -> tuple[Job, Estimate]:
    """The job that would be made, and what it would cost; raises what a submission would raise of the job itself.

    Its handler is taken to run as long as 95 of 100 jobs of its name did not pass lately; where none has completed,
    its computing is left out (`handler_ms` 0). Nothing is stored or counted.
    """
    job = check_job(ports, caller, spec)
    handler_ms = Expectations(ports).of(job.tenant, job.name)
    return job, estimated(prices(), handler_ms, memory_of(ports, job.pool))
