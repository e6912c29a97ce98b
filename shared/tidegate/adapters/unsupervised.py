"""A home without Step Functions, in which the clock alone watches over runs."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.domain.dag.run import Run
from tidegate.domain.job import Json


class ClockAlone:
    """`Supervisors` of the embedded home: there are none, and nobody waits."""

    calls_back = False

    def start(self, run: Run) -> bool:  # noqa: ARG002
        """See `Supervisors.start`."""
        return False

    def tell(self, token: str, outcome: Mapping[str, Json]) -> bool:  # noqa: ARG002
        """See `Supervisors.tell`."""
        return False

    def fail(self, token: str, error: str, cause: str) -> bool:  # noqa: ARG002
        """See `Supervisors.fail`."""
        return False
