"""Error messages that tell the same, as one: what differs from job to job is folded away."""

from __future__ import annotations

import re

MAX_LENGTH = 200
_FOLDS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE), "<uuid>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<hex>"),
    # a digest or an id: at least eight hexadecimal digits, digits and letters among them
    (re.compile(r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}\b", re.IGNORECASE), "<hex>"),
    # an id made of letters and digits, such as job_abc123 or i-0ab12
    (re.compile(r"\b[A-Za-z]+[_-][A-Za-z0-9]*\d[A-Za-z0-9]*\b"), "<id>"),
    (re.compile(r"\d+(?:\.\d+)*"), "<n>"),
    (re.compile(r"\s+"), " "),
)


def fold(message: str) -> str:
    """The message with its numbers, UUIDs, hexadecimal texts and ids replaced, cut to `MAX_LENGTH` characters."""
    for pattern, stands_for in _FOLDS:
        message = pattern.sub(stands_for, message)
    return message.strip()[:MAX_LENGTH]
