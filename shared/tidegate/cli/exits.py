"""From an outcome to an exit code and one line on stderr."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tidegate.domain.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.client import Job

DONE, REFUSED, USAGE, NOT_FOUND, NOT_ALLOWED, OUT_OF_REACH = range(6)
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

HELP = """Exit codes: 0 done, job completed or skipped; 1 job failed, expired or cancelled, or request refused; \
2 wrong usage or input; 3 not found; 4 not authenticated or not allowed; 5 server out of reach; 130 interrupted.

Server: --url and --token, else TIDEGATE_URL and TIDEGATE_TOKEN, else http://127.0.0.1:8321 with the token in \
TIDEGATE_DATA (./.tidegate)."""

_CODES: Mapping[str, int] = {
    "INVALID_INPUT": USAGE,
    "MALFORMED_JSON": USAGE,
    "PAYLOAD_TOO_LARGE": USAGE,
    "NOT_FOUND": NOT_FOUND,
    "UNAUTHENTICATED": NOT_ALLOWED,
    "FORBIDDEN": NOT_ALLOWED,
    "UNREACHABLE": OUT_OF_REACH,
    "UNAVAILABLE": OUT_OF_REACH,
    "UNEXPECTED_ANSWER": OUT_OF_REACH,
}

_HINTS: Mapping[str, str] = {
    "UNAUTHENTICATED": "set TIDEGATE_TOKEN or --token; for a server on this machine, TIDEGATE_DATA is its data folder",
    "UNREACHABLE": "start a server with 'tidegate serve', or set TIDEGATE_URL or --url",
}


def exit_code(error: TidegateError) -> int:
    """The exit code that stands for `error`."""
    return _CODES.get(error.code, REFUSED)


def job_exit_code(job: Job) -> int:
    """0 for a job that ended as it should, 1 otherwise."""
    return DONE if job.succeeded else REFUSED


def line_for(error: TidegateError) -> str:
    """What happened, each broken rule with its field, and what to do about it."""
    parts = [error.message, *(rule for rule in _rules(error) if rule not in error.message)]
    hint = _HINTS.get(error.code)
    return "; ".join(parts) + (f" ({hint})" if hint else "")


def _rules(error: TidegateError) -> list[str]:
    errors = error.details.get("errors")
    if not isinstance(errors, list):
        return []
    return [f"{each.get('field')}: {each.get('rule')}" for each in errors if isinstance(each, dict)]
