"""`job.log`: an ordinary logger whose lines are also kept with the job."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any

from tidegate.domain.job import Job
from tidegate.domain.logs import Level

Keep = Callable[[Level, str], None]


class JobLog(logging.LoggerAdapter[logging.Logger]):
    """Writes to the process's logger `tidegate.job` as configured there, and keeps every line with the job.

    `job.log.info("page %d of %d", 3, 10)`; also debug, warning, error, and exception with its traceback.
    """

    def __init__(self, job: Job, keep: Keep) -> None:
        super().__init__(logging.getLogger("tidegate.job"), _told(job))
        self._keep = keep

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Keep a line, and hand it on."""
        self._keep(_level(level), _text(msg, args, kwargs.get("exc_info")))
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # the line is the handler's, not this one
        super().log(level, msg, *args, **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add job and attempt to what the handler gives as `extra`."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


def _told(job: Job) -> dict[str, object]:
    correlation = {} if job.correlation_id is None else {"correlation_id": job.correlation_id}
    return {"job_id": job.id, "attempt": job.attempt, **correlation}


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return Level.ERROR
    if number >= logging.WARNING:
        return Level.WARNING
    return Level.INFO if number >= logging.INFO else Level.DEBUG


def _text(msg: object, args: tuple[object, ...], exc_info: object) -> str:
    """The message as `logging` writes it; a format that does not fit its arguments is shown beside them."""
    record = logging.LogRecord("tidegate.job", 0, "", 0, msg, args, None)
    try:
        text = record.getMessage()
    except Exception:  # logging reports it on stderr; the handler goes on
        text = f"{msg} {args!r}"
    if not exc_info:
        return text
    error = exc_info if isinstance(exc_info, BaseException) else None
    trace = traceback.format_exception(error) if error is not None else [traceback.format_exc()]
    return "\n".join([text, "".join(trace).rstrip()])
