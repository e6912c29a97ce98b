"""How fast the console's pages are in a real browser, with very many jobs in the home."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.report import Table

from .crowd import ROOT, fill

PAGES: Mapping[str, str] = {
    "Overview": "/",
    "Jobs": "/jobs",
    "Jobs: failed": "/jobs?state=FAILED",
    "Jobs: waiting in one queue": "/jobs?queue=mail&state=CREATED",
    "Jobs: of a name": "/jobs?name=render",
    "Jobs: with a tag": "/jobs?tag=batch-3",
    "Jobs: with metadata": "/jobs?metadata=customer%3Dc7",
    "Jobs: failed, of a name, with metadata": "/jobs?state=FAILED&name=extract&metadata=customer%3Dc0",
    "Jobs: nothing fits": "/jobs?tag=no-such-tag",
    "A job that waits": "/jobs/{waiting}",
    "Queues": "/queues",
    "A queue": "/queues/mail",
    "Workers": "/workers",
}
"""The pages by what they are; `{waiting}` is the id of a job."""
_SHOWN = """
return new Promise((resolve) => {
  const look = () => document.querySelector("h1") && !document.querySelector("main [aria-busy=true]")
    ? resolve({
        paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? performance.now(),
        shown: performance.now(),
        calls: performance.getEntriesByType("resource").filter((e) => e.initiatorType === "fetch")
          .map((e) => [e.name, e.responseEnd - e.startTime]),
      })
    : requestAnimationFrame(look);
  look();
});
"""


def measure(folder: Path, jobs: int, rounds: int) -> Table:
    """Medians of so many visits of each page, loaded anew each time."""
    sys.path += [str(ROOT / "tests"), str(ROOT / "tests/e2e")]
    from embedded import Server
    from webdriver import Browser, programs

    table = Table(
        f"Console: what a visit takes in Chromium, embedded, with {jobs:,} jobs in the home (ms)",
        ("page", "first paint", "everything shown", "slowest call of the API", ""),
    )
    found = programs()
    if found is None:
        table.notes.append("Left out: chromium and chromedriver are not installed.")
        return table
    data = folder / "crowd"
    if not data.exists():
        fill(data, jobs)
    server = Server(data, workers=0).start()
    browser = Browser(folder / "profile", *found)
    try:
        with server.client() as client:
            waiting = next(iter(client.list(state="CREATED"))).id
        browser.open(f"{server.url}/console/")
        browser.find(".signin")
        token = (data / "token").read_text().strip()
        browser.run("sessionStorage.setItem('tidegate.token', arguments[0])", token)
        for name, path in PAGES.items():
            table.add(name, *_visited(browser, server.url + "/console" + path.format(waiting=waiting), rounds))
    finally:
        browser.close()
        server.stop_if_running()
    table.notes.append(
        f"Medians of {rounds} visits, each a whole load of the page with its files in the browser's cache. Shown: "
        "nothing is being fetched any more that the page waits for. Three quarters of the jobs have ended, a quarter "
        "waits in a paused queue."
    )
    return table


def _visited(browser: Any, url: str, rounds: int) -> tuple[Any, ...]:
    visits: defaultdict[str, list[float]] = defaultdict(list)
    calls: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        browser.open(url)
        seen = browser.run(_SHOWN)
        for figure in ("paint", "shown"):
            visits[figure].append(seen[figure])
        for address, took in seen["calls"]:
            calls[urlsplit(address).path].append(took)
    slowest = max(calls, key=lambda path: statistics.median(calls[path]), default="")
    took = statistics.median(calls[slowest]) if slowest else 0.0
    return statistics.median(visits["paint"]), statistics.median(visits["shown"]), took, f"`{slowest}`"
