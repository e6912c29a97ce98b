"""The clock of all tests is the one that users get for theirs."""

from __future__ import annotations

from tidegate.testing.clock import START_MS, Clock

__all__ = ["START_MS", "Clock"]
