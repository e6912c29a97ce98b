"""Delete ended jobs whose time to be kept has passed.

Readers pass them over from that moment on. DynamoDB's TTL deletes most of them, days late and at no cost; the clock
deletes what it has not deleted yet, and all of them in the embedded home. Large values and pointers of deleted jobs
go with the change feed, whoever deleted the job.
"""

from __future__ import annotations

from tidegate.domain.job import Ms
from tidegate.ports import Ports

MOST_AT_ONCE = 1_000
"""Jobs deleted, or in the cloud looked at, in one tick."""


def retire(ports: Ports, now: Ms) -> int:
    """Delete some of the jobs that have outlived their `keep_until`; answers how many."""
    jobs = ports.upkeep.outlived(now, MOST_AT_ONCE)
    return sum(ports.upkeep.erase_unchanged(jobs)) if jobs else 0
