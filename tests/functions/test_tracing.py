"""Spans of requests and attempts, as OpenTelemetry's own SDK collects them; and none where nobody asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from home import ADMIN, Home
from support.inprocess import client_of
from tidegate import Client, Dag, JobContext, PermanentError, runtime
from tidegate.adapters.otel import OtelTracer, tracer_from
from tidegate.domain.errors import InvalidInput, LeaseLost, NotFound, Unavailable
from tidegate.domain.spec import JobSpec
from tidegate.execution import tracing
from tidegate.execution.attempts import PortsAttempts
from tidegate.execution.context import Snooze
from tidegate.service.submit import submit_one
from tidegate.service.tokens import new_token

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECRET = "the payload"


class Spans:
    """What an application's own tracer and Tidegate's told."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = OtelTracer(provider)
        self.application = provider.get_tracer("application")

    def taken(self) -> list[ReadableSpan]:
        """All that ended since the last time, in the order of their ends."""
        found = list(self._exporter.get_finished_spans())
        self._exporter.clear()
        return found

    def named(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.taken()}


@pytest.fixture
def spans() -> Iterator[Spans]:
    made = Spans()
    with tracing.traced_with(made.tracer):
        yield made


@pytest.fixture
def client(home: Home) -> Client:
    clear, token = new_token(home.clock.now(), tenant="main", user="ada", scopes=["submit", "read"])
    home.ports.tokens.put(token)
    return client_of(home.app, clear)


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else int(span.parent.span_id)


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def facts_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_an_attempt_stands_under_the_request_that_stands_under_its_caller(
    home: Home, client: Client, spans: Spans
) -> None:
    with spans.application.start_as_current_span("checkout") as checkout:
        job = client.submit("work", {"secret": SECRET}, priority=8)

    def work(context: JobContext) -> str:
        with spans.application.start_as_current_span("inside"):
            return SECRET

    home.drain(home.runner(work=work))
    found = spans.named()
    assert set(found) == {"checkout", "POST /jobs", "run work", "inside"}
    request, attempt = found["POST /jobs"], found["run work"]
    assert parent_of(request) == checkout.get_span_context().span_id
    assert parent_of(attempt) == id_of(request)
    assert parent_of(found["inside"]) == id_of(attempt)
    assert (request.kind, attempt.kind) == (SpanKind.SERVER, SpanKind.CONSUMER)
    assert {trace_of(span) for span in found.values()} == {trace_of(attempt)}
    asked = {
        "http.request.method": "POST",
        "http.route": "/jobs",
        "url.path": "/jobs",
        "http.response.status_code": 201,
    }
    assert asked.items() <= facts_of(request).items()
    told = {
        "messaging.destination.name": "default",
        "messaging.message.id": job.id,
        "tidegate.job.name": "work",
        "tidegate.job.priority": 8,
        "tidegate.job.attempt": 1,
        "tidegate.worker.id": "w-1",
        "tidegate.correlation_id": trace_of(attempt),
        "tidegate.outcome": "completed",
    }
    assert told.items() <= facts_of(attempt).items()
    assert all(SECRET not in span.to_json() for span in found.values())


def test_each_attempt_is_a_span_and_errors_are_recorded(home: Home, client: Client, spans: Spans) -> None:
    job = client.submit("work", retry_limit=1)
    tries = iter([ValueError("no such page"), PermanentError("given up")])

    def work(_: JobContext) -> None:
        raise next(tries)

    home.settle(home.runner(work=work), seconds=5)
    request, first, second = spans.taken()
    assert {parent_of(first), parent_of(second)} == {id_of(request)}
    assert [facts_of(each)["tidegate.outcome"] for each in (first, second)] == ["retry", "failed"]
    assert [facts_of(each)["tidegate.job.attempt"] for each in (first, second)] == [1, 2]
    assert [each.status.status_code for each in (request, first, second)] == [
        StatusCode.UNSET,
        StatusCode.ERROR,
        StatusCode.ERROR,
    ]
    assert dict(first.events[0].attributes or {}) == {
        "exception.type": "agent",
        "exception.message": "ValueError: no such page",
    }
    assert second.status.description == "given up"
    assert client.get(job.id).trace_id == trace_of(first)


def test_every_outcome_has_its_name(home: Home, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = home.runner(sleep=lambda _: Snooze(3600), text=lambda _: {1, 2}, work=lambda _: None)

    def outcome_of(name: str) -> tuple[str, str | None]:
        home.submit(name, retry_limit=0)
        delivery = home.receive()
        assert delivery is not None
        try:
            runner.serve(delivery, lambda _: None)
        except Unavailable:
            home.ports.tickets.finish([delivery])
        (span,) = spans.taken()
        return facts_of(span)["tidegate.outcome"], facts_of(span).get("error.type")

    assert outcome_of("sleep") == ("snoozed", None)
    assert outcome_of("text") == ("failed", "validation"), "a result that is no JSON"
    assert outcome_of("unknown") == ("failed", "validation")

    def refused(*_: object) -> None:
        raise LeaseLost("someone else's")

    monkeypatch.setattr(PortsAttempts, "complete", refused)
    assert outcome_of("work") == ("lease_lost", None)

    def unreachable(*_: object) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(PortsAttempts, "complete", unreachable)
    monkeypatch.setattr("tidegate.execution.attempt_runner._SETTLE_TRIES", 1)
    assert outcome_of("work") == ("unrecorded", None)


def test_a_run_is_one_trace_entries_and_jobs_of_jobs_included(home: Home, client: Client, spans: Spans) -> None:
    with Dag("numbers") as dag:
        count = dag.job("count")
        dag.map("note", over=count["numbers"], after=count)
    client.submit_dag(dag)

    late: list[str] = []

    def note(_: JobContext) -> None:
        if not late:
            late.append(client.submit("late").id)

    home.settle(home.runner(count=lambda _: {"numbers": [1, 2]}, note=note, late=lambda _: None), seconds=5)
    ended = spans.taken()
    (request,) = [span for span in ended if span.name == "POST /dags"]
    assert {trace_of(span) for span in ended} == {trace_of(request)}
    attempts = [span for span in ended if span.kind is SpanKind.CONSUMER]
    assert Counter(span.name for span in attempts) == {
        "run count": 1,
        "run note": 2,
        "run tidegate.gather": 1,
        "run late": 1,
    }
    (of_late,) = [span for span in attempts if span.name == "run late"]
    (asked,) = [span for span in ended if span.name == "POST /jobs"]
    assert parent_of(of_late) == id_of(asked)
    assert parent_of(asked) in {id_of(span) for span in attempts if span.name == "run note"}
    assert all(parent_of(span) == id_of(request) for span in attempts if span is not of_late)


def test_requests_are_named_by_their_route_and_nothing_else(client: Client, spans: Spans) -> None:
    with pytest.raises(NotFound):
        client.get("no-such-job")
    with pytest.raises(NotFound):
        client.why("no-such-job")
    assert [span.name for span in spans.taken()] == ["GET /jobs/{job_id}", "GET /jobs/{job_id}/why"]


def test_a_failure_of_the_server_is_an_error_and_a_refusal_is_none(
    client: Client, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate_functions.api.jobs.control.get_job", lambda *_: 1 / 0)
    with pytest.raises(Exception, match="wrong"):
        client.get("j")
    (failed,) = spans.taken()
    assert (failed.status.status_code, facts_of(failed)["error.type"]) == (StatusCode.ERROR, "500")


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, False),
        ({"OTEL_SERVICE_NAME": "tidegate"}, False),
    ],
)
def test_traces_are_asked_for_by_opentelemetrys_own_variables(environ: dict[str, str], asked: bool) -> None:
    assert tracing.asked_for(environ) is asked


def test_an_exporter_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="'zipkin' is no exporter that is installed"):
        tracer_from({"OTEL_TRACES_EXPORTER": "zipkin"})
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setitem(sys.modules, "tidegate.adapters.otel", None)
    with pytest.raises(InvalidInput, match=r"pip install 'tidegate\[otel\]'"):
        runtime.start_tracing()


class Collector:
    """An OTLP collector: keeps what is sent to it."""

    def __init__(self) -> None:
        self.sent: list[ExportTraceServiceRequest] = []
        sent = self.sent

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent.append(ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self.server = HTTPServer(("127.0.0.1", 0), Answers)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> Collector:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


WORKER = """
import sys
from tidegate import executor
from tidegate.worker import WorkerOptions, run
from pathlib import Path
executor("work")(lambda job: None)
run(WorkerOptions(data=Path(sys.argv[1]), max_jobs=1))
print(any(name.partition(".")[0] == "opentelemetry" for name in sys.modules))
"""


def work_in_a_process(folder: Path, **variables: str) -> str:
    """Let a worker of its own run one job; answers whether it imported OpenTelemetry."""
    submit_one(runtime.embedded(folder).ports, ADMIN, JobSpec(name="work"))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", WORKER, str(folder)]
    done = subprocess.run(
        command, env={**environ, **variables}, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_worker_sends_its_spans_to_the_collector_that_is_named_and_imports_nothing_otherwise(tmp_path: Path) -> None:
    assert work_in_a_process(tmp_path) == "False"
    with Collector() as collector:
        assert (
            work_in_a_process(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="pages") == "True"
        )
    (sent,) = [each for request in collector.sent for each in request.resource_spans]
    assert ("service.name", "pages") in {(each.key, each.value.string_value) for each in sent.resource.attributes}
    assert [span.name for scope in sent.scope_spans for span in scope.spans] == ["run work"]
