"""The gate of the workers: is there one that serves the job, and has it a free place?"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.domain.job import Job, Json
from tidegate.domain.words import counted, listed, shortened

from .gate import NAMED, Gate, GateName


@dataclass(frozen=True, slots=True)
class Workforce:
    """The workers of a pool that were seen lately, as they last said.

    `serving` of them take the job: they serve its queue and have a handler of its name, `places` jobs at once in all,
    of which `busy` were taken. `others` do not; `names` is what those have handlers for. Where workers are started
    `on_demand` (Lambda), silence means nothing.
    """

    serving: int
    places: int
    busy: int
    others: int
    names: tuple[str, ...]
    on_demand: bool

    @property
    def absent(self) -> bool:
        """Whether nobody would take the job, and nobody comes by itself."""
        return not self.serving and (self.others > 0 or not self.on_demand)

    @property
    def full(self) -> bool:
        """Whether all who would take it have no free place, and no others come by themselves."""
        return self.serving > 0 and self.busy >= self.places and not self.on_demand


def manned(job: Job, force: Workforce) -> Gate:
    """Whether a worker that serves the job has a free place."""
    facts: dict[str, Json] = {
        "pool": job.pool,
        "queue": job.queue,
        "name": job.name,
        "workers": force.serving,
        "places": force.places,
        "busy": force.busy,
        "other_workers": force.others,
        "their_names": list(force.names),
        "on_demand": force.on_demand,
    }
    return Gate(GateName.WORKERS, force.absent or force.full, _message(job, force), facts)


def _message(job: Job, force: Workforce) -> str:
    if force.full:
        return f"all {counted(force.places, 'place')} of the workers that serve it are taken"
    if force.serving:
        return f"{counted(force.serving, 'worker')} of its pool '{job.pool}' may take it"
    if force.others:
        names = [shortened(name) for name in force.names[:NAMED]]
        known = f" (they serve {listed(names, len(force.names))})" if names else ""
        who = f"the {counted(force.others, 'worker')} of its pool '{job.pool}'"
        return f"none of {who} serves jobs named '{shortened(job.name)}' of queue '{job.queue}'{known}"
    if force.on_demand:
        return f"no worker of its pool '{job.pool}' was seen in the last minute; its ticket starts one"
    return f"no worker of its pool '{job.pool}' was seen in the last minute"
