"""Worker processes: started, watched, started again when they die, and drained at the end."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tidegate.worker.options import PARENT_VARIABLE

_log = logging.getLogger("tidegate.local")
_WATCH_SECONDS = 0.25
_MIN_LIFE_SECONDS = 2.0
"""A worker that dies younger than this is started again only after a pause, so that a broken one does not spin."""


class Workers:
    """`count` processes of `tidegate worker` on one data folder."""

    def __init__(self, count: int, data: Path, handlers: Sequence[str]) -> None:
        self._command = [sys.executable, "-m", "tidegate", "worker", "--data", str(data)]
        for source in handlers:
            self._command += ["--handlers", source]
        self._environ = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
        self._slots = [_Slot() for _ in range(count)]
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="tidegate-workers", daemon=True)

    def start(self) -> None:
        """Start them all and watch over them."""
        for slot in self._slots:
            self._spawn(slot)
        self._watcher.start()

    def drain(self, seconds: float) -> None:
        """Let each finish the job it runs, at most `seconds`; whoever takes longer is killed (its job runs again)."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        processes = [slot.process for slot in self._slots if slot.process is not None]
        for process in processes:
            process.terminate()
        end = time.monotonic() + seconds
        for process in processes:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                _log.warning("worker killed", extra={"action": "worker_killed", "pid": process.pid})
                process.kill()
                process.wait()

    def pids(self) -> list[int]:
        """The processes that are alive."""
        return [slot.process.pid for slot in self._slots if slot.process is not None and slot.process.poll() is None]

    def _spawn(self, slot: _Slot) -> None:
        slot.started = time.monotonic()
        slot.process = subprocess.Popen(self._command, env=self._environ, stdin=subprocess.DEVNULL)  # noqa: S603

    def _watch(self) -> None:
        while not self._stopping.wait(_WATCH_SECONDS):
            for slot in self._slots:
                self._renew(slot)

    def _renew(self, slot: _Slot) -> None:
        if slot.process is None or slot.process.poll() is None:
            return
        if time.monotonic() - slot.started < _MIN_LIFE_SECONDS:
            return
        code = slot.process.returncode
        _log.warning("worker died with %s, starting another", code, extra={"action": "worker_died", "code": code})
        self._spawn(slot)


class _Slot:
    """The place of one worker process."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
