"""Writing a job's log: lines are gathered while the handler runs and stored a chunk at a time."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tidegate.domain.errors import Unavailable
from tidegate.domain.job import Job, Ms
from tidegate.domain.logs import (
    CHUNK_BYTES,
    MAX_BYTES,
    MAX_LINES,
    Level,
    LogChunk,
    LogLine,
    LogPlace,
    LogUsage,
    line_of,
    log_of,
)
from tidegate.ports import Ports

from .log_chunks import chunk_blob_key

_log = logging.getLogger("tidegate.worker")
_AFTER_TROUBLE_SECONDS = 5.0
_CLOSE_PAUSES = (0.0,)
_LOCK_SECONDS = 2.0
_TURNS = 50
"""Of several that append at once one gets its turn each time."""


class LogStore(Protocol):
    """Where the lines of one attempt are kept."""

    def kept(self) -> tuple[LogUsage, int]:
        """How much of the job's log is kept, and the number of this attempt's last chunk (0: it has none)."""

    def append(self, number: int, lines: Sequence[LogLine], before: LogUsage) -> LogUsage:
        """Store lines as the attempt's chunk of this number, where `before` is kept; answers what is kept then.

        The same chunk twice is one.
        """


class PortsLog:
    """`LogStore` straight on the ports."""

    def __init__(self, ports: Ports, job: Job) -> None:
        self._ports = ports
        self._job = job

    def kept(self) -> tuple[LogUsage, int]:
        """See `LogStore.kept`."""
        last = self._ports.logs.last(log_of(self._job))
        if last is None:
            return LogUsage(), 0
        return last.usage, last.place.number if last.place.attempt == self._job.attempt else 0

    def append(self, number: int, lines: Sequence[LogLine], before: LogUsage) -> LogUsage:
        """See `LogStore.append`. A blob comes first, so that no chunk names one that is not there."""
        chunk = self._chunk(number, lines, before)
        self._ports.logs.append(log_of(self._job), chunk, self._job.keep_until)
        return chunk.usage

    def append_next(self, lines: Sequence[LogLine]) -> tuple[LogUsage, int]:
        """Store as many of the lines as a log may have, after whatever is kept, however many threads do so at once.

        Answers what is kept then, and the number of the attempt's last chunk. Raises Unavailable.
        """
        for _ in range(_TURNS):
            before, last = self.kept()
            kept = before.first_of(lines)
            if not kept:
                return before, last
            chunk = self._chunk(last + 1, kept, before, by=f"-{self._ports.new_id()}")
            if self._ports.logs.append_if_free(log_of(self._job), chunk, self._job.keep_until):
                return chunk.usage, last + 1
            if chunk.blob is not None:
                self._ports.blobs.delete(chunk.blob)
        raise Unavailable("too many write the log of this job at once")

    def _chunk(self, number: int, lines: Sequence[LogLine], before: LogUsage, by: str = "") -> LogChunk:
        """A chunk that is ready to be stored: lines that do not fit the table are in a blob by now."""
        log, place = log_of(self._job), LogPlace(self._job.attempt, number)
        size = sum(line.size for line in lines)
        if before.fits_table(len(lines), size):
            return LogChunk(place, tuple(lines), None, before.plus(len(lines), size, 0))
        blob = chunk_blob_key(log, place, by)
        self._ports.blobs.put(blob, json.dumps(lines).encode())
        return LogChunk(place, (), blob, before.plus(len(lines), size, 1))


def log_writer(
    ports: Ports, job: Job, clock: Callable[[], float] = time.monotonic, *, resumed: bool = False
) -> LogWriter:
    """A writer straight on the ports; see `LogWriter`."""
    return LogWriter(PortsLog(ports, job), job, ports.now, clock, resumed=resumed)


class LogWriter:
    """Gathers the lines of one attempt and writes them, a chunk at a time. Safe to use from any thread.

    Nothing it does can fail its job: what cannot be stored after all is counted, and said in the worker's own log.
    """

    def __init__(
        self,
        store: LogStore,
        job: Job,
        now: Callable[[], Ms],
        clock: Callable[[], float] = time.monotonic,
        *,
        resumed: bool = False,
        pauses: Sequence[float] = _CLOSE_PAUSES,
    ) -> None:
        """`resumed`: lines of this attempt were written before, by a process that is no more (one at a time).

        `pauses`: seconds between two tries to write what is left at the end.
        """
        self._store = store
        self._pauses = pauses
        self._job = job
        self._now = now
        self._clock = clock
        self._lines: list[LogLine] = []
        self._size = 0
        self._dropped = 0
        self._gathering = threading.Lock()
        self._writing = threading.Lock()
        self._pending: tuple[LogLine, ...] = ()
        self._usage: LogUsage | None = LogUsage() if job.attempt == 1 and not resumed else None
        self._number = 0
        self._due = 0.0
        self._troubled_until = 0.0

    def add(self, level: Level, message: str) -> None:
        """Keep a line. Writes by itself, on the caller's thread, when so much was said that it fills a chunk."""
        line = line_of(self._now(), level, message)
        if self._size + line.size > CHUNK_BYTES and not self._made_room():
            self._dropped += 1
            return
        with self._gathering:
            if not self._lines:
                self._due = max(self._troubled_until, self._clock() + (self._usage or LogUsage()).gather_seconds)
            self._lines.append(line)
            self._size += line.size

    def _made_room(self) -> bool:
        """Write now, unless the store was out of reach a moment ago: a handler is not to wait for it at every line."""
        return self._clock() >= self._troubled_until and self.flush()

    @property
    def is_due(self) -> bool:
        """Whether lines have been gathered for long enough."""
        return bool(self._lines or self._pending) and self._clock() >= self._due

    def flush(self) -> bool:
        """Write what was gathered; answers whether nothing is left. What could not be written is tried again later."""
        if not self._writing.acquire(timeout=_LOCK_SECONDS):
            return False  # whoever writes hangs: the attempt must end nevertheless
        try:
            if self._pending:
                self._write()
            if self._next_chunk():
                self._write()
        except Exception as error:  # whatever it is, it is no reason for the job to fail or its lease to lapse
            self._due = self._troubled_until = self._clock() + _AFTER_TROUBLE_SECONDS
            _log.warning(
                "log not written: %s", type(error).__name__, extra={"action": "log_delayed", "job_id": self._job.id}
            )
            return False
        finally:
            self._writing.release()
        return True

    def close(self) -> None:
        """Write all that is left, with a last line that says how many were dropped, if any."""
        if not self._lines and not self._pending and not self._dropped:
            return
        if not self._flushed_at_last():
            lost = len(self._lines) + len(self._pending) + self._dropped
            _log.warning("%d log lines lost", lost, extra={"action": "log_lost", "job_id": self._job.id})
            return
        if self._dropped:
            self._say_dropped()

    def _flushed_at_last(self) -> bool:
        for pause in self._pauses:
            if self.flush():
                return True
            time.sleep(pause)
        return self.flush()

    def _say_dropped(self) -> None:
        limits = (
            f"a job's log has at most {MAX_LINES:,} lines and {MAX_BYTES:,} bytes, of which {CHUNK_BYTES:,} can wait"
        )
        text = f"{self._dropped:,} lines were dropped: {limits} to be stored"
        self._pending = (line_of(self._now(), Level.WARNING, text),)
        self.flush()

    def _next_chunk(self) -> Sequence[LogLine]:
        """What is to be written next: what was not written the last time, unchanged, else what was gathered since."""
        if not self._pending:
            if self._usage is None:
                self._usage, self._number = self._store.kept()
            with self._gathering:
                lines, self._lines, self._size = self._lines, [], 0
                self._pending = self._within_limits(lines)
        return self._pending

    def _within_limits(self, lines: Sequence[LogLine]) -> tuple[LogLine, ...]:
        usage, kept = self._usage or LogUsage(), 0
        for line in lines:
            if not usage.fits(line):
                break
            usage, kept = usage.plus(1, line.size, 0), kept + 1
        self._dropped += len(lines) - kept
        return tuple(lines[:kept])

    def _write(self) -> None:
        """Store the pending chunk."""
        self._usage = self._store.append(self._number + 1, self._pending, self._usage or LogUsage())
        self._number, self._pending = self._number + 1, ()
