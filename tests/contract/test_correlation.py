"""What a request was called goes with all that it makes: runs, jobs, tickets and log lines, in both homes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from home import ADMIN, Home
from tidegate.domain.correlation import Correlation
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.domain.job import Job, State
from tidegate.domain.ticket import decode
from tidegate.execution import correlating
from tidegate.execution.context import JobContext
from tidegate.service.runs import get_run, submit_dag

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ORDER = Correlation("order-4711", TRACEPARENT)
ASKED = replace(ADMIN, correlation=ORDER)


class Lines(logging.Handler):
    """The lines that are written, each with the request that it names."""

    def __init__(self) -> None:
        super().__init__()
        self.named: list[tuple[str, str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.named.append((record.getMessage(), getattr(record, "correlation_id", None)))


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What a process writes whose log lines are marked."""
    handler, root = Lines(), logging.getLogger()
    root.addHandler(handler)
    correlating.mark_log_lines()
    yield handler
    root.removeHandler(handler)


def test_a_job_keeps_the_request_that_made_it_and_its_ticket_carries_it(either: Home) -> None:
    made, other = either.submit(caller=ASKED), either.submit()
    assert correlating.of_job(either.job(made.id)) == ORDER
    assert correlating.of_job(either.job(other.id)) is None
    tickets = [decode(each.body) for each in either.ports.tickets.receive("default", 10, 0)]
    assert {each.job_id: each.correlation_id for each in tickets} == {made.id: "order-4711", other.id: None}


def test_every_line_that_is_written_for_a_job_names_its_request(either: Home, lines: Lines) -> None:
    def work(job: JobContext) -> None:
        logging.getLogger("somewhere.else").warning("a library")
        job.log.warning("the handler")
        raise ValueError

    either.submit(caller=ASKED, retry_limit=0)
    either.drain(either.runner(work=work))
    logging.getLogger("somewhere.else").warning("afterwards")
    seen = dict(lines.named)
    assert (seen["a library"], seen["the handler"], seen["afterwards"]) == ("order-4711", "order-4711", None)


def test_what_a_handler_asks_for_is_of_the_same_request(either: Home) -> None:
    served: list[Correlation | None] = []
    either.submit(caller=ASKED)
    either.submit()
    either.drain(either.runner(work=lambda _: served.append(correlating.current())))
    assert served == [ORDER, None]


def test_all_jobs_of_a_run_are_of_its_request(either: Home) -> None:
    nodes = (
        NodeSpec(id="list", job={"name": "numbers"}),
        NodeSpec(id="each", job={"name": "work"}, depends_on=("list",), for_each=("list", "result")),
    )
    view, _ = submit_dag(either.ports, ASKED, DagSpec(name="numbers", nodes=nodes), {})
    assert view.run.correlation_id == "order-4711"
    found = get_run(either.ports, ADMIN, view.run.id)
    assert found.run.correlation_id == "order-4711"
    assert {_named(job) for job in found.jobs} == {"order-4711"}


def _named(job: Job) -> str | None:
    assert job.state is State.CREATED
    return job.correlation_id
