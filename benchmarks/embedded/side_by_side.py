"""All contenders in turn, again and again, so that what else the machine does strikes them alike."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_connection
from typing import Any

from benchmarks.report import Table, median, percentile, share

from .contenders import BASES, REDIS_PORT, Contender, redis_server
from .driver import WARM_UP
from .processes import ROOT, Session, wait_for
from .sink import VARIABLE, Sink

_DRAIN_SECONDS = 180.0
_IDLE_SECONDS = 2.5
"""Until a worker that has just started is idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of it: jobs a round, rounds, latencies, and how long a killed worker's job is waited for (s)."""

    jobs: int = 2_000
    rounds: int = 3
    latencies: int = 100
    patience: float = 40.0


@dataclass(slots=True)
class Results:
    """What one contender did: each measurement's value in every round."""

    values: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    again: str = "–"
    """When a killed worker's job ran again."""
    error: str = ""

    def median(self, name: str) -> float | None:
        """The median over the rounds."""
        return median(self.values[name])

    def cpu(self) -> float | None:
        """Processor time of client and worker a job, in µs."""
        client, worker = self.median("client_us"), self.median("worker_us")
        return None if client is None or worker is None else client + worker


class Bench:
    """Runs one contender's programs in a scratch folder."""

    def __init__(self, contender: Contender, folder: Path) -> None:
        self.contender = contender
        self.folder = folder
        self.sink = Sink(folder / "sink")
        self.environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "BENCH_FOLDER": str(folder),
            "BENCH_REDIS": f"redis://127.0.0.1:{REDIS_PORT}/0",
            VARIABLE: str(self.sink.path),
            **contender.environ,
        }

    def client(self, action: str, count: int = 1) -> dict[str, Any]:
        """Let a client process do something; what it measured."""
        command = [self.contender.python, "-m", "benchmarks.embedded.driver", self.contender.module, action, str(count)]
        run = subprocess.run(command, cwd=ROOT, env=self.environ, capture_output=True, text=True, timeout=300)
        if run.returncode != 0:
            raise RuntimeError(run.stderr.strip().splitlines()[-1])
        answer: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
        return answer

    @contextmanager
    def fresh(self) -> Iterator[Session | None]:
        """An empty store, with the program beside it running."""
        self.sink.clear()
        if not self.contender.beside:
            self.client("setup")
            yield None
            return
        beside = self._beside()
        try:
            yield beside
        finally:
            beside.stop()

    @contextmanager
    def worker(self) -> Iterator[Session]:
        """One worker process."""
        session = self.start_worker()
        try:
            yield session
        finally:
            session.stop()

    def start_worker(self) -> Session:
        """Start a worker process, to be stopped by the caller."""
        command = self.contender.command(self.contender.worker, self.folder)
        return Session(command, self.environ, self.folder / "worker.log")

    def _beside(self) -> Session:
        log = self.folder / "beside.log"
        if list(self.contender.beside) == ["redis"]:
            command = [redis_server() or "redis-server", "--port", str(REDIS_PORT), "--bind", "127.0.0.1", "--save", ""]
            session = Session([*command, "--dir", str(self.folder)], self.environ, log)
            wait_for("redis-server", session, _redis_listens)
            self.client("setup")
            return session
        self.client("setup")
        log.write_bytes(b"")
        session = Session(self.contender.command(self.contender.beside, self.folder), self.environ, log)
        wait_for(self.contender.name, session, lambda: b"is ready at" in log.read_bytes())
        return session


def compare(contenders: Sequence[Contender], plan: Plan, folder: Path) -> dict[str, Results]:
    """Measure everything; by the contender's name."""
    found = {contender.name: Results() for contender in contenders}
    benches = [Bench(contender, folder) for contender in contenders]
    for _ in range(plan.rounds):
        for bench in benches:
            _guarded(found, bench, lambda bench, results: _round(bench, results, plan))
    for bench in benches:
        _guarded(found, bench, lambda bench, results: _latency(bench, results, plan))
    for bench in benches:
        _guarded(found, bench, lambda bench, results: _crash(bench, results, plan))
    return found


def _guarded(found: dict[str, Results], bench: Bench, measure: Any) -> None:
    """A contender that fails is reported, and the others go on."""
    results = found[bench.contender.name]
    try:
        measure(bench, results)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as error:
        results.error = f"{type(error).__name__}: {error}"[:200]


def _round(bench: Bench, results: Results, plan: Plan) -> None:
    with bench.fresh() as beside:
        before = beside.cpu() if beside else 0.0
        sent = bench.client("enqueue", plan.jobs)
        results.values["enqueue_rate"].append(plan.jobs / sent["seconds"])
        results.values["client_us"].append(sent["cpu"] / plan.jobs * 1e6)
        _drain(bench, results, plan.jobs + WARM_UP)
        if beside:
            results.values["beside_us"].append((beside.cpu() - before) / plan.jobs * 1e6)
    with bench.fresh():
        if bulk := bench.client("bulk", plan.jobs):
            results.values["bulk_rate"].append(plan.jobs / bulk["seconds"])
            results.values["bulk_us"].append(bulk["cpu"] / plan.jobs * 1e6)


def _drain(bench: Bench, results: Results, jobs: int) -> None:
    """From the first job that runs to the last: starting the worker is not counted."""
    with bench.worker() as worker:
        if not bench.sink.reaches(1, 40, worker.alive, poll=0.0005):
            raise TimeoutError("no job ran")
        cpu, begun = worker.cpu(), bench.sink.count()
        if not bench.sink.reaches(jobs, _DRAIN_SECONDS, worker.alive):
            raise TimeoutError(f"{bench.sink.count()} of {jobs} jobs ran")
        if begun >= jobs:
            raise RuntimeError(f"all {jobs} jobs had run before the worker could be looked at: measure more of them")
        used = worker.cpu() - cpu
        marks = bench.sink.marks()
    results.values["drain_rate"].append((len(marks) - 1) / (marks[-1].at - marks[0].at))
    results.values["worker_us"].append(used / (jobs - begun) * 1e6)


def _latency(bench: Bench, results: Results, plan: Plan) -> None:
    with bench.fresh(), bench.worker():
        time.sleep(_IDLE_SECONDS)
        found = bench.client("latency", plan.latencies)["seconds"]
        results.values["latency_ms"] = [seconds * 1e3 for seconds in found]


def _crash(bench: Bench, results: Results, plan: Plan) -> None:
    """Kill the only worker in the middle of a job and start another."""
    with bench.fresh():
        first = bench.start_worker()
        try:
            bench.client("slow")
            if not bench.sink.reaches(1, 40, first.alive):
                raise TimeoutError("no job ran")
            time.sleep(0.3)
        finally:
            first.kill()
        killed = time.monotonic()
        with bench.worker() as second:
            ran = bench.sink.reaches(2, plan.patience, second.alive)
            again = bench.sink.marks()[-1].at - killed
            results.again = f"again after {again:.1f} s" if ran else f"not within {plan.patience:.0f} s"


def _redis_listens() -> bool:
    try:
        create_connection(("127.0.0.1", REDIS_PORT), 0.3).close()
    except OSError:
        return False
    return True


def throughput(contenders: Sequence[Contender], found: dict[str, Results], plan: Plan) -> Table:
    """Rates and processor time, as ratios of the base contender's in the same run."""
    table = Table(
        f"Embedded: {plan.jobs:,} no-op jobs, one client, one worker process; medians of {plan.rounds} rounds in turn",
        ("", "enqueue/s", "bulk/s", "drain/s", "CPU µs/job: client", "bulk client", "worker", "beside", "both",
         *(f"{what} ÷ {base}" for base in BASES for what in ("enqueue", "drain", "CPU"))),
    )  # fmt: skip
    bases = [found.get(name, Results()) for name in BASES]
    for contender in contenders:
        got = found[contender.name]
        cells = [got.median(name) for name in ("enqueue_rate", "bulk_rate", "drain_rate", "client_us", "bulk_us")]
        cells += [got.median("worker_us"), got.median("beside_us"), got.cpu()]
        table.add(contender.name, *cells, *(ratio for base in bases for ratio in _ratios(got, base)))
        if got.error:
            table.notes.append(f"{contender.name} failed: {got.error}")
    table.notes.append(
        "Rates are those of a shared machine and only good as ratios within this table. `beside`: the store's server, "
        "or Tidegate's, which counts, keeps time and answers HTTP."
    )
    return table


def _ratios(got: Results, base: Results) -> list[str]:
    rates = [share(got.median(name), base.median(name)) for name in ("enqueue_rate", "drain_rate")]
    return [*rates, share(got.cpu(), base.cpu())]


def promptness(contenders: Sequence[Contender], found: dict[str, Results], plan: Plan) -> Table:
    """How soon a job starts, what a killed worker's job does, and what is promised for it."""
    table = Table(
        f"Embedded: pick-up by an idle worker ({plan.latencies} jobs one by one), and a worker killed -9 in mid-job",
        ("", "pick-up p50 ms", "p99 ms", "killed worker's job", "an accepted job survives", "kept after the run"),
    )
    for contender in contenders:
        got = found[contender.name]
        latencies = got.values["latency_ms"]
        percentiles = [percentile(latencies, 50), percentile(latencies, 99)]
        table.add(contender.name, *percentiles, got.again, contender.durable, contender.record)
    return table
