"""One client process: `python -m benchmarks.embedded.driver PEER ACTION COUNT`; answers one line of JSON.

Run by the Python of the peer, so that it imports the standard library and that peer alone.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.embedded.sink import VARIABLE, Sink

WARM_UP = 20
"""Jobs submitted before the measurement begins: connections are open then, and code is loaded."""
_PAUSES_SECONDS = (0.04, 0.08)
"""Between two measurements of the latency, so that the worker is idle again."""


def main(peer_name: str, action: str, count: int) -> dict[str, Any]:
    """Do what is asked, and answer what was measured."""
    peer = importlib.import_module(f"benchmarks.embedded.peers.{peer_name}")
    match action:
        case "setup":
            peer.setup()
        case "slow":
            peer.one("slow", 7)
        case "enqueue":
            _warm_up(peer)
            return _timed(lambda: [peer.one("noop", number) for number in range(WARM_UP, WARM_UP + count)])
        case "bulk" if hasattr(peer, "many"):
            _warm_up(peer)
            return _timed(lambda: peer.many(WARM_UP, count))
        case "latency":
            return {"seconds": _latencies(peer, count)}
    return {}


def _warm_up(peer: Any) -> None:
    for number in range(WARM_UP):
        peer.one("noop", number)


def _timed(work: Callable[[], object]) -> dict[str, Any]:
    """How long the work took (s), and how much processor time this process used for it (s)."""
    before, started = _cpu(), time.monotonic()
    work()
    return {"seconds": time.monotonic() - started, "cpu": _cpu() - before}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _latencies(peer: Any, count: int) -> list[float]:
    """From just before a submission until its job runs, in seconds, for one job after the other."""
    sink, rng, found = Sink(Path(os.environ[VARIABLE])), random.Random(1), []
    peer.one("noop", 0)
    sink.reaches(1, 30, lambda: True)
    for number in range(1, count + 1):
        time.sleep(rng.uniform(*_PAUSES_SECONDS))
        started = time.monotonic()
        peer.one("noop", number)
        if not sink.reaches(number + 1, 15, lambda: True, poll=0.0005):
            break
        found.append(sink.marks()[-1].at - started)
    return found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
