"""Starts the embedded scheduler and puts real documents through it: split → extract → classify → summarise.

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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tidegate import Client

HOME = Path(__file__).resolve().parent
DATA = Path(".tidegate")
PORT = int(os.environ.get("TIDEGATE_PORT", "8321"))
READY = "Tidegate is ready at "
JOB_SECONDS = 120


@dataclass(frozen=True)
class Outcome:
    """What the pipeline found out about one document."""

    document: str
    pages: int
    words: int
    label: str
    share: float
    summary: str


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


class Pipeline:
    """Sends each document's jobs, the later ones made from the results of the earlier."""

    def __init__(self, client: Client, progress: Progress) -> None:
        self._client = client
        self._progress = progress
        self._bar = progress.add_task("jobs", total=0)

    def run(self, document: str) -> Outcome:
        """Put one document through the pipeline."""
        (split,) = self._results([self._submit("split", {"document": document}, priority=8)])
        numbers = range(1, split["pages"] + 1)
        pages = self._results([self._submit("extract", {"document": split["document"], "page": n}) for n in numbers])
        texts = {"pages": [page["text"] for page in pages]}
        label, summary = self._results(
            [self._submit("classify", texts), self._submit("summarise", {**texts, "sentences": 1})]
        )
        share = label["scores"].get(label["label"], 0.0)
        words = sum(page["words"] for page in pages)
        return Outcome(document, split["pages"], words, label["label"], share, summary["summary"])

    def _submit(self, name: str, data: dict[str, Any], priority: int = 5) -> str:
        job = self._client.submit(name, data, priority=priority, tags=["demo"])
        self._progress.update(self._bar, total=(self._progress.tasks[self._bar].total or 0) + 1)
        return job.id

    def _results(self, job_ids: list[str]) -> list[Any]:
        results = []
        for job_id in job_ids:
            job = self._client.wait(job_id, timeout=JOB_SECONDS)
            self._progress.advance(self._bar)
            if not job.succeeded:
                raise SystemExit(f"{job.name} {job.id} is {job.state}: {job.error_message}")
            results.append(job.result)
        return results


def show(console: Console, outcomes: list[Outcome], seconds: float) -> None:
    """Print what came out."""
    table = Table(expand=True, title=f"{len(outcomes)} documents in {seconds:.1f} s", title_justify="left")
    for heading in ("Document", "Pages", "Words", "Label", "Share"):
        justify: Literal["left", "right"] = "left" if heading in {"Document", "Label"} else "right"
        table.add_column(heading, justify=justify, no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("In one sentence", ratio=1, no_wrap=True, overflow="ellipsis")
    for each in outcomes:
        cells = (Path(each.document).name, str(each.pages), str(each.words), each.label, f"{each.share:.0%}")
        table.add_row(*cells, each.summary)
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
        with Progress(*columns, console=console) as progress, ThreadPoolExecutor(len(documents)) as threads:
            outcomes = list(threads.map(Pipeline(client, progress).run, documents))
        show(console, outcomes, time.monotonic() - started)
        counts = client.stats()
        console.print(f"Scheduler: {url}   completed {counts.completed}, failed {counts.failed}")
        if not once:
            console.print("Try: [bold].venv/bin/tidegate list[/], [bold].venv/bin/tidegate stats[/]. Ctrl-C stops.")
            forever()


def forever() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


if __name__ == "__main__":
    main()
