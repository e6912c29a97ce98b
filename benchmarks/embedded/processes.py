"""Processes that the benchmark starts, watches and ends: whole sessions, since some workers fork."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Session:
    """A program and all that it starts, in a session of its own."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=dict(environ), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    def alive(self) -> bool:
        """Whether the program still runs."""
        return self._process.poll() is None

    def cpu(self) -> float:
        """Processor time used so far, in seconds, to a hundredth of one."""
        return sum(ticks for _, ticks in self._members()) / _TICKS_A_SECOND

    def kill(self) -> None:
        """End every process at once (SIGKILL)."""
        for pid, _ in list(self._members()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(10)

    def stop(self, seconds: float = 5.0) -> None:
        """Ask the program to end, and end what is left after `seconds`."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

    def _members(self) -> Iterator[tuple[int, int]]:
        """Each live process of the session, and its ticks, those of the children it has waited for included."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError):
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[3]) == self._process.pid:
                        yield int(folder.name), sum(int(ticks) for ticks in fields[11:15])


def wait_for(what: str, session: Session, ready: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until `ready()` is true; raises TimeoutError naming the log."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end or not session.alive():
            raise TimeoutError(f"{what} did not start; see {session.log}")
        time.sleep(0.05)
