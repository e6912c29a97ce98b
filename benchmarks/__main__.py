"""`python -m benchmarks`: run them all, print the tables, and keep them in `benchmarks/results/`."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from .report import Table

if TYPE_CHECKING:
    from .cloud.flows import Flow

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
_SIZES = (1_000, 10_000, 100_000)
_MILLION = 1_000_000
_PACKAGES = ("tidegate", "boto3", "aws-lambda-powertools", "pydantic", "uvicorn", "moto")


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; returns the exit code."""
    options = _parser().parse_args(arguments)
    chosen = options.only.split(",") if options.only else list(_PARTS)
    if unknown := set(chosen) - set(_PARTS):
        sys.stderr.write(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}\n")
        return 2
    pieces = [_head(arguments, options.folder)]
    print(pieces[0])
    for name in chosen:
        started = time.monotonic()
        for table in _PARTS[name](options):
            print(table.markdown())
            pieces.append(table.markdown())
        sys.stderr.write(f"[{name}: {time.monotonic() - started:.0f} s]\n")
    if not options.no_file:
        RESULTS.mkdir(exist_ok=True)
        target = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}{options.label and '-' + options.label}.md"
        target.write_text("\n".join(pieces))
        sys.stderr.write(f"written to {target.relative_to(ROOT)}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", metavar="PART,…", help=f"some of {', '.join(_PARTS)}")
    parser.add_argument("--jobs", type=int, default=2_000, help="no-op jobs a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement, in turn")
    parser.add_argument("--latencies", type=int, default=100, help="jobs submitted one by one to an idle worker")
    parser.add_argument("--patience", type=float, default=40, help="seconds to wait for a killed worker's job")
    parser.add_argument("--nodes", type=int, default=10_000, help="nodes of each run of a DAG")
    parser.add_argument("--width", type=int, default=10_000, help="jobs beside each other in the widest run")
    parser.add_argument("--million", action="store_true", help="let the backlog grow to a million jobs (minutes)")
    parser.add_argument(
        "--folder",
        default=tempfile.gettempdir(),
        help="where the stores are kept (%(default)s); /dev/shm takes the disk out",
    )
    parser.add_argument("--no-peers", action="store_true", help="leave the other queues out")
    parser.add_argument("--label", default="", help="what to add to the name of the file with the results")
    parser.add_argument("--no-file", action="store_true", help="keep no results")
    return parser


def _head(arguments: Sequence[str], folder: str) -> str:
    now = datetime.now(UTC)
    versions = [f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    versions += [f"{name} {version(name)}" for name in _PACKAGES]
    peers = [line for line in (HERE / "peers.txt").read_text().splitlines() if line and not line.startswith("#")]
    command = " ".join(["python -m benchmarks", *arguments])
    return (
        f"## Benchmarks of {now:%Y-%m-%d %H:%M} UTC\n\n"
        f"`{command}` on {os.cpu_count()} cores ({platform.machine()}, {platform.system()}), load {_load()} at the "
        f"start, stores in {folder}.\n\n"
        f"{', '.join(versions)}. Peers: {', '.join(peers)}.\n"
    )


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _peers(options: argparse.Namespace) -> Iterator[Table]:
    from .embedded.contenders import all_contenders, prepare
    from .embedded.side_by_side import Plan, compare, promptness, throughput

    wanted = [each for each in all_contenders() if each.ours or not options.no_peers]
    contenders, left_out = prepare(wanted)
    plan = Plan(jobs=options.jobs, rounds=options.rounds, latencies=options.latencies, patience=options.patience)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = compare(contenders, plan, Path(folder))
    table = throughput(contenders, found, plan)
    table.notes += left_out
    yield table
    yield promptness(contenders, found, plan)


def _http(options: argparse.Namespace) -> Iterator[Table]:
    from .embedded.http import compare

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        yield compare(Path(folder), options.jobs, options.rounds)


def _growth(options: argparse.Namespace) -> Iterator[Table]:
    from .embedded.growth import measure

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        yield measure(Path(folder), (*_SIZES, _MILLION) if options.million else _SIZES)


def _console(options: argparse.Namespace) -> Iterator[Table]:
    from .embedded.console import measure

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        yield measure(Path(folder), _SIZES[-1], options.rounds)


def _fairness(options: argparse.Namespace) -> Iterator[Table]:
    from .embedded.fairness import measure

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        yield measure(Path(folder), (0, 1_000, 100_000))


def _workflows(options: argparse.Namespace) -> Iterator[Table]:
    from .embedded.workflows import measure

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        yield measure(Path(folder), options.nodes)


def _cold(options: argparse.Namespace) -> Iterator[Table]:
    from .cold_start import imports, sizes

    yield imports(options.rounds * 3)
    yield sizes()


@cache
def _flows() -> Mapping[str, Flow]:
    """What each flow asks of AWS, counted once."""
    sys.path.append(str(ROOT / "tests"))
    from support.aws import cloud

    from .cloud.flows import count_all
    from .cloud.stage import Stage

    with cloud() as made:
        return count_all(Stage(made))


def _cloud(_: argparse.Namespace) -> Iterator[Table]:
    flows = _flows()
    from .cloud import bill, idle

    prices = bill.load()
    used = bill.lives(flows, prices)
    yield bill.counts_table(flows)
    yield bill.bill_table(used, prices)
    yield bill.runs_table(flows, prices)
    months = {}
    try:
        for stage in idle.STAGES:
            resources = idle.resources(stage)
            months[stage] = idle.month(flows["clock tick, idle"], resources, prices)
            yield idle.table(stage, months[stage], resources, prices)
    except ImportError as error:
        yield Table("", (), notes=[f"Idle months are left out: the CDK is not installed ({error})."])
    yield bill.targets_table(flows, used, prices, months)


def _width(options: argparse.Namespace) -> Iterator[Table]:
    """On DynamoDB Local: moto reads a whole table for each query."""
    sys.path.append(str(ROOT / "tests"))
    from support.aws import cloud
    from support.dynamodb_local import dynamodb_local, jar

    from .cloud import transitions
    from .cloud.stage import Stage
    from .cloud.width import table

    with cloud() as made:
        yield transitions.table(made)
    if jar() is None:
        yield Table("", (), notes=["Wide runs are left out: DynamoDB Local is not installed."])
        return
    with dynamodb_local() as endpoint, cloud() as made:
        yield table(Stage(made, endpoint), options.width)


def _scale(_: argparse.Namespace) -> Iterator[Table]:
    flows = _flows()
    from .cloud import bill
    from .scale.model import Load
    from .scale.tables import hour, needed

    prices = bill.load()
    batched = bill.lives(flows, prices)["batch submit 100, worker batch 10"]
    yield hour(Load(), batched.dollars(prices) * 1e6)
    yield needed()


_PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Table]]] = {
    "peers": _peers,
    "http": _http,
    "growth": _growth,
    "console": _console,
    "fairness": _fairness,
    "workflows": _workflows,
    "cold": _cold,
    "cloud": _cloud,
    "width": _width,
    "scale": _scale,
}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
