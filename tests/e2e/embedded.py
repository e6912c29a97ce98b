"""The embedded home as its own processes: started, killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tidegate import Client

HANDLERS = Path(__file__).with_name("handlers.py")
_READY = "Tidegate is ready at "


class Server:
    """`tidegate serve` on a data folder."""

    def __init__(self, data: Path, workers: int = 2, handlers: Path = HANDLERS) -> None:
        self.data = data
        self.workers = workers
        self.handlers = handlers
        self.url = ""
        self.log: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    def start(self, port: str = "0") -> Server:
        command = [sys.executable, "-m", "tidegate", "serve", "--port", port, "--data", str(self.data)]
        command += ["--workers", str(self.workers), "--handlers", str(self.handlers)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.log.append(line)
            if line.startswith(_READY):
                self.url = line.removeprefix(_READY).strip()
                threading.Thread(target=self._follow, args=(self._process,), daemon=True).start()
                return self
        raise AssertionError("the server did not start: " + "".join(self.log))

    def client(self) -> Client:
        return Client(self.url, data=self.data)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def worker_pids(self) -> list[int]:
        """The worker processes, as the kernel lists them."""
        lists = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(child) for children in lists for child in children.read_text().split()]

    def kill(self) -> None:
        """kill -9 of the server and all its workers, as a power cut or the out-of-memory killer would."""
        os.killpg(self.pid, signal.SIGKILL)
        self._wait()

    def kill_server_only(self) -> None:
        """kill -9 of the server: its workers lose their parent."""
        os.kill(self.pid, signal.SIGKILL)
        self._wait()

    def stop(self) -> int:
        """SIGTERM; answers the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self._wait()

    def stop_if_running(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _wait(self) -> int:
        assert self._process is not None
        return self._process.wait(40)

    def _follow(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.log.extend(process.stdout)
        process.stdout.close()
