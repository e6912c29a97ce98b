"""What is too large or too much for the tables of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tidegate.domain.job import Ms
    from tidegate.domain.logs import LogChunk, LogOf, LogPlace


class Blobs(Protocol):
    """Large payloads by key."""

    def put(self, key: str, content: bytes) -> None:
        """Store durably, replacing what was there."""

    def get(self, key: str) -> bytes:
        """The content; raises NotFound."""

    def delete(self, key: str) -> None:
        """Delete; nothing happens when there is none."""

    def list(self, prefix: str, after: str = "", limit: int = 1000) -> Sequence[str]:
        """Up to `limit` (1–1000) keys that begin with `prefix` and sort after `after`, in the order of their bytes."""


class Logs(Protocol):
    """What handlers told while they ran, in chunks. Only the holder of an attempt writes that attempt's chunks."""

    def append(self, log: LogOf, chunk: LogChunk, keep_until: Ms | None) -> None:
        """Store a chunk; the same chunk twice is one. It may be deleted after `keep_until`, if that is given."""

    def append_if_free(self, log: LogOf, chunk: LogChunk, keep_until: Ms | None) -> bool:
        """`append`, where there is no chunk at the place. Answers whether it was stored."""

    def read(self, log: LogOf, after: LogPlace | None, limit: int) -> Sequence[LogChunk]:
        """The oldest chunks after a place (None: from the beginning), at most `limit`, as last written."""

    def last(self, log: LogOf) -> LogChunk | None:
        """The chunk with the highest place."""

    def erase(self, tenant: str, job_id: str) -> None:
        """Delete every chunk of every log of that id. Blobs are left alone."""
