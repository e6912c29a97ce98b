"""A home of real processes: the server with workers of its own, and workers that only have a token."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidegate import Client
from tidegate.domain.errors import TidegateError

HANDLERS = Path(__file__).with_name("handlers.py")
SERVER = "server"
_UP_SECONDS = 60.0


class Member:
    """One process, started again under the same command after each death; a group of its own."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self._command = [sys.executable, "-m", "tidegate", *command]
        self._environ = environ
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs."""
        if self._process is None or self._process.poll() is not None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, env=dict(self._environ), stdout=log, stderr=log, start_new_session=True
                )

    def signal(self, number: int, *, group: bool = True) -> None:
        """Send a signal to it, and with `group` to its children."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(self._process.pid, number)

    def kill(self, *, group: bool = True) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL, group=group)
        if self._process is not None:
            self._process.wait(30)

    def children(self) -> list[int]:
        """Its children, as the kernel lists them."""
        if self._process is None:
            return []
        lists = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        with contextlib.suppress(OSError):
            return [int(child) for children in lists for child in children.read_text().split()]
        return []


class Home:
    """The processes of one embedded home. `folder` gets its data, its record and its logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.record = folder / "record"
        self.record.touch()
        self.url = f"http://127.0.0.1:{_free_port()}"
        own = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "AWS_"))}
        self._environ = {**own, "SOAK_RECORD": str(self.record)}
        self.members: dict[str, Member] = {}

    def start(self) -> None:
        """Start the server, make a token for the workers, and start them."""
        port = self.url.rpartition(":")[2]
        serve = ["serve", "--port", port, "--data", str(self.data), "--workers", "2", "--handlers", str(HANDLERS)]
        self._add(SERVER, serve, self._environ)
        self.members[SERVER].start()
        self.wait_until_up()
        here = ["--data", str(self.data)]
        made = self.command("token", "create", "soak", "--scope", "work", *here)
        remote = {**self._environ, "TIDEGATE_URL": self.url, "TIDEGATE_TOKEN": made.stdout.strip()}
        work = ["worker", "--handlers", str(HANDLERS), "--poll-interval", "2", "--concurrency"]
        self._add("http-1", [*work, "4"], remote)
        self._add("http-2", [*work, "2", "--queue", "default", "--queue", "keyed"], remote)
        self._add("gpu-1", [*work, "2", "--pool", "gpu"], remote)
        self._add("gpu-2", [*work, "1", "--pool", "gpu"], remote)
        self._add("narrow", [*work, "2", "--queue", "narrow", *here], self._environ)
        self.start_all()

    def start_all(self) -> None:
        """Start again what does not run."""
        for member in self.members.values():
            member.start()

    def client(self) -> Client:
        """A client of the administrator."""
        return Client(self.url, data=self.data)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line; its exit code is the caller's to judge."""
        command = [sys.executable, "-m", "tidegate", *arguments]
        return subprocess.run(command, env=self._environ, capture_output=True, text=True, check=False, timeout=300)

    def wait_until_up(self) -> None:
        """Return once the server answers."""
        end = time.monotonic() + _UP_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(TidegateError), self.client() as client:
                client.health()
                return
            time.sleep(0.1)
        raise AssertionError(f"the server does not answer; see {self.folder}")

    def stop(self) -> None:
        """End every process."""
        for member in self.members.values():
            member.signal(signal.SIGCONT)
            member.kill()

    def _add(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self.members[name] = Member(command, environ, self.folder / f"{name}.log")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
