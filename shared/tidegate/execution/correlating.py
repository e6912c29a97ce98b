"""Whose request the running code serves: told to every log line, and to the requests that are made for its sake."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from tidegate.domain.correlation import Correlation, checked_id, correlation_in
from tidegate.domain.job import Job

_current: ContextVar[Correlation | None] = ContextVar("tidegate_correlation", default=None)


def current() -> Correlation | None:
    """The request that is served now; None where there is none."""
    return _current.get()


class correlated:  # noqa: N801 - it reads as a word of a `with` statement
    """Serve this request for a while; None: no request at all."""

    __slots__ = ("_correlation", "_token")

    def __init__(self, correlation: Correlation | None) -> None:
        self._correlation = correlation

    def __enter__(self) -> None:
        self._token = _current.set(self._correlation)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def of_request(event: Mapping[str, object]) -> Correlation:
    """The request of an event (`correlation_in`), which may be the one that is served already: the embedded home's."""
    return current() or correlation_in(event)


@contextmanager
def request_id(value: str) -> Iterator[None]:
    """Call whatever is asked of Tidegate within by this name: `with tidegate.request_id("order-4711"): …`.

    Jobs, their events and the log lines of all functions carry it as `correlation_id`. Raises InvalidInput.
    """
    with correlated(Correlation(checked_id("request_id", value))):
        yield


def of_job(job: Job) -> Correlation | None:
    """The request that a job was made by; None for one that no request made."""
    return None if job.correlation_id is None else Correlation(job.correlation_id, job.traceparent)


class CorrelationFilter(logging.Filter):
    """Adds `correlation_id` to the lines written while a request is served, unless they have one themselves."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line through."""
        served = current()
        if served is not None and not hasattr(record, "correlation_id"):
            record.correlation_id = served.id
        return True


def mark_log_lines() -> None:
    """Let the lines that this process writes tell their request: in JSON, as a Lambda writes them, by a field."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(each, CorrelationFilter) for each in handler.filters):
            handler.addFilter(CorrelationFilter())
