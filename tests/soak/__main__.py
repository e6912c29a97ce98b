"""`python -m tests.soak`: processes are killed at random while jobs and runs go through; prints what became of them."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from .plan import Plan
from .soaking import Soaked, soak


def main(arguments: list[str] | None = None) -> int:
    """Run the command; answers 1 when the promise was broken."""
    options = _options(arguments)
    plan = Plan(options.jobs, options.runs, options.seed)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="tidegate-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    soaked = soak(plan, folder, seconds=options.minutes * 60, pause=options.pause, linger=options.linger)
    for line in report(plan, soaked):
        sys.stdout.write(f"{line}\n")
    return 1 if soaked.verdict.broken else 0


def report(plan: Plan, soaked: Soaked) -> list[str]:
    """The figures, as they are printed."""
    found, harm = soaked.verdict, soaked.harm
    seconds = soaked.troubled_seconds + soaked.rest_seconds
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(found.states.items()))
    return [
        f"{plan.jobs:,} jobs and {plan.runs:,} runs: {plan.total:,} jobs in all, on {os.cpu_count()} CPUs",
        *(f"  {count:6,}  {name}" for name, count in sorted(harm.items())),
        f"{soaked.troubled_seconds:.0f} s of that, then at rest within {soaked.rest_seconds:.0f} s",
        f"{plan.total / seconds:.0f} jobs/s over all",
        f"{found.attempts:,} attempts, of which {found.lost_attempts:,} were lost with their workers and made again",
        f"{found.cleaned:,} clean-ups of cancelled jobs; {found.logs_whole} of {found.logs_read} logs are whole",
        f"ended: {states}",
        f"broken: {len(found.broken)}",
        *(f"  {each}" for each in found.broken[:20]),
    ]


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs beside those of runs (default: 20000)")
    parser.add_argument("--runs", type=int, default=100, help="runs of a DAG of six jobs (default: 100)")
    parser.add_argument("--minutes", type=float, default=15, help="how long things go wrong at most (default: 15)")
    parser.add_argument("--pause", type=float, default=3, help="seconds between two kills on average (default: 3)")
    parser.add_argument("--seed", type=int, default=1, help="of the plan and of what is killed (default: 1)")
    parser.add_argument("--linger", type=float, default=200, help="seconds from rest to the verdict (default: 200)")
    parser.add_argument("--folder", type=Path, help="where data, record and logs go (default: a temporary folder)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
