"""Which job stands in the way of another with the same unique key."""

from __future__ import annotations

from .errors import InvalidInput
from .job import OPEN, Job, State, UniquePolicy

DEFAULT_POLICY = UniquePolicy.REJECT_DUPLICATE


def policy_named(word: str) -> UniquePolicy:
    """The policy of that name, in any case; raises InvalidInput."""
    try:
        return UniquePolicy(word.upper())
    except ValueError:
        raise InvalidInput.field("policy", f"must be one of {', '.join(UniquePolicy)}") from None


def takes_key(job: Job) -> bool:
    """Whether the job, while it is open, is the one of its unique key."""
    return job.unique_key is not None and job.policy is not UniquePolicy.ALLOW_ALL


def stands_in_way(job: Job, other: Job) -> bool:
    """Whether `other`, the last job of the unique key that `job` asks for, keeps `job` from being stored."""
    if other.id == job.id:
        return False
    if job.policy is UniquePolicy.REJECT_ALL:
        return True
    stopping = other.state is State.ACTIVE and other.cancel_requested
    return other.state in OPEN and not (job.policy is UniquePolicy.REPLACE and stopping)
