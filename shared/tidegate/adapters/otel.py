"""Spans by OpenTelemetry's SDK, sent to where its own variables (`OTEL_*`) say. Imported only where they ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points, version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tidegate.domain.correlation import TRACEPARENT
from tidegate.domain.errors import InvalidInput
from tidegate.ports.tracing import Facts, Span, SpanKind

_KINDS: Mapping[SpanKind, trace.SpanKind] = {"server": trace.SpanKind.SERVER, "consumer": trace.SpanKind.CONSUMER}
_W3C = TraceContextTextMapPropagator()
_EXPORTERS = "opentelemetry_traces_exporter"
"""The group of entry points in which exporters' packages name them."""


class OtelSpan:
    """`Span` of OpenTelemetry."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        """See `Span.traceparent`."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(self._span, Context()))
        return carrier.get(TRACEPARENT)

    def call(self, name: str) -> None:
        """See `Span.call`."""
        self._span.update_name(name)

    def tell(self, facts: Facts) -> None:
        """See `Span.tell`."""
        self._span.set_attributes(facts)

    def fail(self, kind: str, message: str = "") -> None:
        """See `Span.fail`: its status, its `error.type`, and an event `exception`."""
        self._span.set_attribute("error.type", kind)
        self._span.add_event("exception", {"exception.type": kind, "exception.message": message})
        self._span.set_status(trace.StatusCode.ERROR, message or kind)


class OtelTracer:
    """`Tracer` of a provider of OpenTelemetry's."""

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer("tidegate", version("tidegate"))

    @contextmanager
    def span(self, name: str, kind: SpanKind, parent: str | None, facts: Facts) -> Iterator[Span]:
        """See `Tracer.span`."""
        context = _W3C.extract({} if parent is None else {TRACEPARENT: parent}, Context())
        with self._tracer.start_as_current_span(
            name, context, _KINDS[kind], facts, record_exception=False, set_status_on_exception=True
        ) as opened:
            yield OtelSpan(opened)


def tracer_from(environ: Mapping[str, str]) -> OtelTracer:
    """The tracer of this process, sending to what the variables name. Raises InvalidInput.

    A provider that is in place (a handlers file made it, or `opentelemetry-instrument`) is used as it is. What is not
    sent yet when the process ends is sent then.
    """
    found = trace.get_tracer_provider()
    if isinstance(found, TracerProvider):
        return OtelTracer(found)
    named = "OTEL_SERVICE_NAME" in environ or f"{SERVICE_NAME}=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    provider = TracerProvider(resource=Resource.create({} if named else {SERVICE_NAME: "tidegate"}))
    for exporter in _exporters(environ):
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return OtelTracer(provider)


def _exporters(environ: Mapping[str, str]) -> list[SpanExporter]:
    """The exporters of `OTEL_TRACES_EXPORTER`; each reads its own variables."""
    protocol = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol)
    otlp = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    asked = [name.strip() for name in (environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")]
    made: list[SpanExporter] = []
    for name in (otlp if name == "otlp" else name for name in asked if name):
        found = list(entry_points(group=_EXPORTERS, name=name))
        if not found:
            known = ", ".join(sorted(entry_points(group=_EXPORTERS).names))
            raise InvalidInput.field(
                "OTEL_TRACES_EXPORTER", f"'{name}' is no exporter that is installed (those are: {known})"
            )
        made.append(found[0].load()())
    return made
