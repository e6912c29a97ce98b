"""What the embedded home's server and workers take from their surroundings."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tidegate.local.serve import _listen
from tidegate.runtime import App
from tidegate.worker import WorkerOptions, crew


def test_answers_are_sent_at_once_whoever_is_on_the_line() -> None:
    """asyncio sets TCP_NODELAY only on sockets that say they are TCP; else every answer waits 40 ms."""

    async def nodelay_of_a_connection() -> int:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted = transport.get_extra_info("socket")
                seen.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                transport.close()

        listener = _listen("127.0.0.1", 0)
        server = await asyncio.get_running_loop().create_server(Protocol, sock=listener)
        _, writer = await asyncio.open_connection(*listener.getsockname())
        found = await asyncio.wait_for(seen, 5)
        writer.close()
        server.close()
        return found

    assert asyncio.run(nodelay_of_a_connection()) == 1


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
def test_a_worker_on_a_folder_commits_as_the_environment_says(
    synchronous: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_SYNCHRONOUS", synchronous)
    app: App = crew._home(WorkerOptions(data=tmp_path))
    app.ports.close()
    assert app.settings.data == tmp_path
    assert app.settings.synchronous == synchronous
    assert app.feed is not None
