"""Starts the embedded scheduler and puts a DAG on real documents through it.

    python examples/documents/demo.py [--once]

The scheduler keeps serving afterwards until Ctrl-C; with `--once` it is stopped and the exit code tells how it went.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tidegate import Client, Dag
from tidegate.client import DagRun

HOME = Path(__file__).resolve().parent
DATA = Path(".tidegate")
PORT = int(os.environ.get("TIDEGATE_PORT", "8321"))
READY = "Tidegate is ready at "
_WIDTHS = {"Document": 22, "Found": 12}


@dataclass(frozen=True)
class Outcome:
    """What the pipeline found out about one document."""

    document: str
    dag_id: str
    pages: int
    found: dict[str, Any]
    extracted: int

    @property
    def detail(self) -> str:
        """What the branch that was taken found."""
        details = self.found["details"]
        return str(details.get("amount_due") or details.get("greeting") or "")


@contextmanager
def scheduler(port: int) -> Iterator[str]:
    """Run `tidegate serve` and answer its URL; it is drained at the end."""
    command = [sys.executable, "-m", "tidegate", "serve", "--port", str(port), "--data", str(DATA), "--workers", "2"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--handlers", str(HOME / "handlers.py")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(READY):
                yield line.removeprefix(READY).strip()
                break
        else:
            raise SystemExit(f"the scheduler did not start (exit code {process.wait()})")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def pipeline(document: str) -> Dag:
    """The run for one document: which nodes there are is known only when its pages are counted and it is classified."""
    with Dag("document", tags=["demo"]) as dag:
        split = dag.job("split", {"document": document}, priority=8)
        pages = dag.map("extract", over=split["page_numbers"], data={"document": document})
        label = dag.job("classify", {}, after=pages)
        summary = dag.job("summarise", {"sentences": 1}, after=pages)
        dag.switch("route", label["label"], {"invoice": "invoice", "letter": "letter"})
        invoice = dag.job("read_invoice", {}, id="invoice", after=pages)
        letter = dag.job("read_letter", {}, id="letter", after=pages)
        dag.job("file", id="merge", after=[summary, label, invoice, letter])
    return dag


def run_all(client: Client, progress: Progress, documents: list[str]) -> list[Outcome]:
    """Submit a run for each document and follow them to their end."""
    bar = progress.add_task("jobs", total=None)
    dags = {document: client.submit_dag(pipeline(document)).id for document in documents}
    ended: dict[str, DagRun] = {}
    while len(ended) < len(dags):
        runs = {run.id: run for run in client.dags(limit=200)}
        ended = {dag_id: runs[dag_id] for dag_id in dags.values() if runs[dag_id].ended}
        jobs = [runs[dag_id].progress for dag_id in dags.values()]
        done = sum(round(each["progress_pct"] * each["total_jobs"] / 100) for each in jobs)
        progress.update(bar, total=sum(each["total_jobs"] for each in jobs), completed=done)
        time.sleep(0.05)
    return [outcome(client, document, dag_id) for document, dag_id in dags.items()]


def outcome(client: Client, document: str, dag_id: str) -> Outcome:
    """What a run found out."""
    run = client.dag(dag_id)
    if run.state != "COMPLETED":
        raise SystemExit(f"the run of {document} is {run.state}")
    jobs = {node["id"]: node["job_id"] for node in run.nodes}
    found = {name: client.get(jobs[name]).result for name in ("split", "merge")}
    pages = sum(name.startswith("extract[") for name in jobs)
    return Outcome(document, dag_id, found["split"]["pages"], found["merge"], pages)


def show(console: Console, outcomes: list[Outcome], seconds: float) -> None:
    """Print what came out."""
    table = Table(expand=True, title=f"{len(outcomes)} documents in {seconds:.1f} s", title_justify="left")
    for heading in ("Document", "Pages", "Words", "Label", "Found"):
        justify: Literal["left", "right"] = "right" if heading in {"Pages", "Words"} else "left"
        table.add_column(heading, justify=justify, no_wrap=True, overflow="ellipsis", max_width=_WIDTHS.get(heading))
    table.add_column("In one sentence", ratio=1, no_wrap=True, overflow="ellipsis")
    for each in outcomes:
        cells = (Path(each.document).name, str(each.pages), str(each.found["words"]), each.found["label"], each.detail)
        table.add_row(*cells, each.found["summary"])
    console.print(table)


def main() -> None:
    """Run the demonstration."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--once", action="store_true", help="stop the scheduler at the end")
    once = options.parse_args().once
    console = Console()
    documents = sorted(f"inbox/{path.name}" for path in (HOME / "inbox").iterdir() if path.suffix in {".pdf", ".txt"})
    with scheduler(0 if once else PORT) as url, Client(url, data=DATA) as client:
        started = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            outcomes = run_all(client, progress, documents)
        show(console, outcomes, time.monotonic() - started)
        counts = client.stats()
        console.print(f"Scheduler: {url}   completed {counts.completed}, failed {counts.failed}")
        if not once:
            console.print(f"Console: [bold]{url}/console[/], a token to sign in with is in {DATA / 'token'}")
            try_ = ("dag list", f"dag graph {outcomes[0].dag_id}", "stats")
            console.print(f"Try: {', '.join(f'[bold].venv/bin/tidegate {word}[/]' for word in try_)}. Ctrl-C stops.")
            forever()


def forever() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


if __name__ == "__main__":
    main()
