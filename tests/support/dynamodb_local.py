"""Amazon's own DynamoDB Local, where java and its jar are at hand: conditions, indexes, PartiQL as they are in AWS."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 120


def jar() -> Path | None:
    """The jar, from `TIDEGATE_DYNAMODB_LOCAL` or where `make test` puts it; None without it or without java."""
    folder = Path(os.environ.get("TIDEGATE_DYNAMODB_LOCAL", _ROOT / ".dynamodb-local" / "package" / "emulator"))
    found = folder / "DynamoDBLocal.jar"
    return found if found.is_file() and shutil.which("java") else None


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """The endpoint of a fresh server in memory, for as long as the context lasts."""
    found = jar()
    assert found is not None, "DynamoDB Local is not installed"
    port = _free_port()
    command = ["java", f"-Djava.library.path={found.parent / 'DynamoDBLocal_lib'}", "-jar", str(found)]
    options = ["-inMemory", "-port", str(port), "-disableTelemetry"]
    with TemporaryDirectory() as folder:
        server = subprocess.Popen([*command, *options], cwd=folder, stdout=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end, f"DynamoDB Local did not start within {_START_SECONDS} s"
            time.sleep(0.1)
