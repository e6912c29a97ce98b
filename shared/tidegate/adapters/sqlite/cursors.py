"""Where a listing on SQLite goes on: the row number of the last one shown."""

from __future__ import annotations

import base64
import binascii

from tidegate.domain.errors import InvalidInput

from .codec import compact


def cursor_of(seq: int) -> str:
    """The cursor behind a row."""
    return base64.urlsafe_b64encode(compact(["seq", seq]).encode()).decode().rstrip("=")


def position_of(cursor: str) -> int:
    """The row that a cursor stands for. Raises InvalidInput for any other text."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        prefix, seq = text[:7], text[7:-1]
        if prefix == '["seq",' and text.endswith("]") and seq.isascii() and seq.isdigit() and len(seq) < 19:
            return int(seq)
    except (binascii.Error, ValueError):
        pass
    raise InvalidInput.field("cursor", "must be one that a listing answered")
