"""Submissions over HTTP on one kept-alive connection, beside a bare server that only answers."""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.report import Table, median, share

from .processes import ROOT, Session, wait_for

_BATCH = 100
_FLOOR = "bare uvicorn"
_SINGLE, _BATCHED = "single", f"batch of {_BATCH}"


class Server:
    """A server under test, and how to submit to it."""

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        log = folder / f"{name.replace(' ', '-')}.log"
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        log.write_bytes(b"")
        self.session = Session([sys.executable, *command], environ, log)
        wait_for(name, self.session, lambda: b"http://" in log.read_bytes() and log.read_bytes().endswith(b"\n"))
        line = next(line for line in log.read_text().splitlines() if "http://" in line)
        address = urlsplit(line[line.index("http://") :].split()[0])
        self.connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        token = folder / name / "token"
        secret = token.read_text().strip() if token.exists() else ""
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def post(self, path: str, body: object) -> bytes:
        """One request on the open connection; raises RuntimeError for an answer that is no success."""
        return self._asked("POST", path, json.dumps(body))

    def get(self, path: str) -> bytes:
        """The same without a body."""
        return self._asked("GET", path, None)

    def _asked(self, method: str, path: str, body: str | None) -> bytes:
        self.connection.request(method, path, body, self._headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status}: {content[:200]!r}")
        return content


def compare(folder: Path, jobs: int, rounds: int) -> Table:
    """Submit `jobs` one by one, and ten times as many in batches of a hundred, in turn on both servers."""
    data = folder / "tidegate"
    serve = ["-m", "tidegate", "serve", "--data", str(data), "--workers", "0", "--port", "0"]
    servers = {
        "tidegate": Server("tidegate", serve, folder),
        _FLOOR: Server(_FLOOR, ["-m", "benchmarks.embedded.floor"], folder),
    }
    found: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    try:
        for _ in range(rounds):
            for name, server in servers.items():
                for way, requests, size in ((_SINGLE, jobs, 1), (_BATCHED, jobs // 10, _BATCH)):
                    rate, client, used = _measure(server, requests, size)
                    found[name, way, "rate"].append(rate)
                    found[name, way, "client"].append(client)
                    found[name, way, "server"].append(used)
    finally:
        for server in servers.values():
            server.session.stop()
    return _table(found, jobs, rounds)


def _measure(server: Server, requests: int, size: int) -> tuple[float, float, float]:
    """Jobs a second, and processor time a job of client and server, in µs."""
    one = {"name": "noop", "data": 1}
    path, body = ("/jobs", one) if size == 1 else ("/jobs/batch", {"jobs": [one] * size})
    server.connection.close()  # the last one may have been idle for too long
    for _ in range(5):
        server.post(path, body)
    used, own, started = server.session.cpu(), time.process_time(), time.monotonic()
    for _ in range(requests):
        server.post(path, body)
    seconds, own = time.monotonic() - started, time.process_time() - own
    used, jobs = server.session.cpu() - used, requests * size
    return jobs / seconds, own / jobs * 1e6, used / jobs * 1e6


def _table(found: dict[tuple[str, str, str], list[float]], jobs: int, rounds: int) -> Table:
    table = Table(
        f"Embedded over HTTP: one client on one kept-alive connection; medians of {rounds} rounds in turn",
        ("", "jobs/s", "CPU µs/job: client", "server", "server ÷ bare"),
    )
    for way in (_SINGLE, _BATCHED):
        floor = median(found[_FLOOR, way, "server"])
        for name in ("tidegate", _FLOOR):
            rate, client, server = (median(found[name, way, what]) for what in ("rate", "client", "server"))
            table.add(f"{name}, {way}", rate, client, server, share(server, floor))
    table.notes.append(
        f"{jobs:,} requests a round for single jobs, {jobs // 10:,} for batches. `{_FLOOR}` reads the request and "
        "answers a fixed text of the same length: what no Python server of this kind goes below. Tidegate's server "
        "also counts the jobs (change feed) meanwhile."
    )
    return table
