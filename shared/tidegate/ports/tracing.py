"""Spans for whoever collects traces: OpenTelemetry's, as far as the code needs them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Literal, Protocol

SpanKind = Literal["server", "consumer"]
Facts = Mapping[str, str | int | float | bool]
"""Attributes of a span. Never payloads."""


class Span(Protocol):
    """One thing that is done, from its beginning to its end."""

    @property
    def traceparent(self) -> str | None:
        """Its place in its trace, as W3C's Trace Context writes it; None where nothing is traced."""

    def call(self, name: str) -> None:
        """Give it a better name."""

    def tell(self, facts: Facts) -> None:
        """Add these facts."""

    def fail(self, kind: str, message: str = "") -> None:
        """Record an error that ended it."""


class Tracer(Protocol):
    """Opens spans."""

    def span(self, name: str, kind: SpanKind, parent: str | None, facts: Facts) -> AbstractContextManager[Span]:
        """A span under `parent` (a traceparent; None: a trace of its own), current for the code within."""
