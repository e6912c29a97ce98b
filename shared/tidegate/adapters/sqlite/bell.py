"""Waiting until somebody may have written to the database, without asking it hundreds of times a second.

On Linux the kernel tells of every write to the write-ahead log (inotify). Such a write comes a moment before its
commit can be seen, so whoever was woken looks a few times more. Elsewhere, and where the kernel has no watch to
spare, it is a short sleep.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys
import time
from pathlib import Path

_POLL_SECONDS = 0.001
"""Between two looks where nobody tells of writes, and after one that could not be seen soon."""
_SOON_SECONDS, _SOON_FOR_SECONDS = 0.0002, 0.002
"""Between two looks after word of a write, and for how long."""
_SEEN_SECONDS = 0.02
"""How long after word of a write its commit may be seen: it may have to wait for a disk."""
_LONGEST_SECONDS = 0.05
"""The longest wait for word of a write: should a word be missed, it is not missed for long."""
_IN_MODIFY = 0x2


class Bell:
    """Rings when a file is written to. Belongs to one thread."""

    def __init__(self, path: Path) -> None:
        self._watch = _watch(path)
        self._rang = 0.0

    def wait(self, seconds: float) -> None:
        """Return when it may be time to look, at the latest after `seconds`; often for nothing."""
        since = time.monotonic() - self._rang
        if self._watch is None or _SOON_FOR_SECONDS <= since < _SEEN_SECONDS:
            time.sleep(min(_POLL_SECONDS, seconds))
        elif since < _SOON_FOR_SECONDS:
            time.sleep(min(_SOON_SECONDS, seconds))
        elif select.select([self._watch], [], [], min(_LONGEST_SECONDS, seconds))[0]:
            os.read(self._watch, 65_536)
            self._rang = time.monotonic()

    def close(self) -> None:
        """Give the watch back."""
        if self._watch is not None:
            os.close(self._watch)
            self._watch = None


def _watch(path: Path) -> int | None:
    """A file descriptor that can be read when the file was written to; None where there is no such thing."""
    if sys.platform != "linux":
        return None
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        watch: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, AttributeError):
        return None
    if watch >= 0 and libc.inotify_add_watch(watch, os.fsencode(path), _IN_MODIFY) < 0:
        os.close(watch)
        return None
    return watch if watch >= 0 else None
