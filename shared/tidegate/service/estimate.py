"""What a job would cost, without submitting it."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from tidegate.domain.caller import Caller
from tidegate.domain.cost import Estimate, Prices, estimated
from tidegate.domain.job import Job
from tidegate.domain.spec import JobSpec
from tidegate.ports import Ports

from .expectations import Expectations
from .submit import check_job


def estimate_job(ports: Ports, caller: Caller, spec: JobSpec) -> tuple[Job, Estimate]:
    """The job that would be made, and what it would cost; raises what a submission would raise of the job itself.

    Its handler is taken to run as long as 95 of 100 jobs of its name did not pass lately; where none has completed,
    its computing is left out (`handler_ms` 0). Nothing is stored or counted.
    """
    job = check_job(ports, caller, spec)
    return job, estimated(prices(), Expectations(ports).of(job.tenant, job.name))


@cache
def prices() -> Prices:
    """The dated price file."""
    content = tomllib.loads(resources.files("tidegate").joinpath("prices.toml").read_text())
    return Prices(content["price"], content["assumed"], content["job"], content["as_of"], content["region"])
