"""Spans of what this process does; until someone asked for traces, nothing at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

from tidegate.domain.job import Job
from tidegate.ports.tracing import Facts, Span, SpanKind, Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def asked_for(environ: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's own variables name where spans go to."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if exporter := environ.get("OTEL_TRACES_EXPORTER", "").strip().lower():
        return exporter != "none"
    return any(environ.get(name) for name in _ENDPOINTS)


class _Untraced:
    """The span of a process that does not trace."""

    traceparent: str | None = None

    def call(self, name: str) -> None:
        pass

    def tell(self, facts: Facts) -> None:
        pass

    def fail(self, kind: str, message: str = "") -> None:
        pass


UNTRACED: Span = _Untraced()
_tracers: list[Tracer] = []
_current: ContextVar[Span] = ContextVar("tidegate_span", default=UNTRACED)


def trace_with(tracer: Tracer) -> None:
    """Open the spans of this process with `tracer` from now on."""
    _tracers[:] = [tracer]


@contextmanager
def traced_with(tracer: Tracer) -> Iterator[None]:
    """`trace_with`, for a while."""
    before = list(_tracers)
    trace_with(tracer)
    try:
        yield
    finally:
        _tracers[:] = before


def current() -> Span:
    """The span that the running code is in; one that tells nobody where there is none."""
    return _current.get()


def span(name: str, kind: SpanKind, parent: str | None, facts: Facts) -> AbstractContextManager[Span]:
    """See `Tracer.span`; also `current` for the code within."""
    return _opened(_tracers[-1].span(name, kind, parent, facts)) if _tracers else nullcontext(UNTRACED)


@contextmanager
def _opened(opening: AbstractContextManager[Span]) -> Iterator[Span]:
    with opening as opened:
        token = _current.set(opened)
        try:
            yield opened
        finally:
            _current.reset(token)


def of_attempt(job: Job) -> AbstractContextManager[Span]:
    """The span of a claimed job's attempt, under the request that submitted it (or its run)."""
    if not _tracers:
        return nullcontext(UNTRACED)
    return span(f"run {job.name}", "consumer", job.traceparent, _facts_of(job))


def _facts_of(job: Job) -> Facts:
    told: dict[str, str | int | None] = {
        "messaging.system": "tidegate",
        "messaging.operation.type": "process",
        "messaging.destination.name": job.queue,
        "messaging.message.id": job.id,
        "tidegate.job.name": job.name,
        "tidegate.job.priority": job.priority,
        "tidegate.job.attempt": job.attempt,
        "tidegate.worker.id": job.worker_id,
        "tidegate.dag.id": job.dag_id,
        "tidegate.dag.node": job.node,
        "tidegate.correlation_id": job.correlation_id,
    }
    return {name: value for name, value in told.items() if value is not None}


def active_traceparent() -> str | None:
    """The place in its trace of the span that the running code is in, whoever opened it; None if nobody traces.

    A program that uses OpenTelemetry has imported it: this looks for it there, and never imports it.
    """
    module = sys.modules.get("opentelemetry.trace")
    if module is None:
        return None
    found = module.get_current_span().get_span_context()
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}" if found.is_valid else None
