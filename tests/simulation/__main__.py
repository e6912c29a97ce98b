"""`python -m tests.simulation`: play many histories and print what became of them."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable

from . import crash_points, mutants
from .history import ASKED_FOR, STYLES, Told, play
from .watch import Broken

_SHOWN = 10
_HEADLINES = (Broken.LOST, Broken.DOUBLED, Broken.OVERWRITTEN, Broken.STOLEN)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; answers 1 when a rule was broken or a mutant lives."""
    options = _options(arguments)
    if options.replay is not None:
        told = play(options.replay, _say if options.v else None, options.style)
        _say(_told(told))
        return 1 if told.broken else 0
    good = _histories(range(options.start, options.start + options.seeds))
    for style in ASKED_FOR:
        _say(f"style {style}:")
        good = _histories(range(options.start, options.start + options.seeds // 4), style) and good
    if not options.only_seeds:
        good = all([_points(), _mutants(), good])
    return 0 if good else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many histories to play (default: 2000)")
    parser.add_argument("--from", type=int, default=0, dest="start", help="the first seed (default: 0)")
    parser.add_argument("--only-seeds", action="store_true", help="leave out the crash points and the mutants")
    parser.add_argument("--replay", type=int, metavar="SEED", help="play one history again; -v shows every call")
    parser.add_argument("--style", choices=STYLES, help="with --replay: the style that it was played in")
    parser.add_argument("-v", action="store_true", help="with --replay: show every call")
    return parser.parse_args(arguments)


def _histories(seeds: range, style: str | None = None) -> bool:
    started, told = time.monotonic(), Totals()
    for seed in seeds:
        each = play(seed, style=style)
        told.add(each)
        if each.broken and told.failed <= _SHOWN:
            _say(_told(each))
    seconds = time.monotonic() - started
    _say(f"{len(seeds)} seeds, {told.jobs} jobs, {told.calls} calls; {len(seeds) / seconds:.0f} seeds/s")
    for kind, count in told.faults.most_common():
        _say(f"  {count:9}  {kind}")
    _say(", ".join(f"{told.broken[rule]} {rule}" for rule in told.rules()))
    for home, worst in sorted(told.worst.items()):
        _say(f"worst recovery, {home}: {worst / 1000:.0f} s")
    return told.failed == 0


class Totals:
    """Sums over histories."""

    def __init__(self) -> None:
        self.failed = self.jobs = self.calls = 0
        self.faults: Counter[str] = Counter()
        self.broken: Counter[Broken] = Counter()
        self.worst: dict[str, int] = {}

    def add(self, told: Told) -> None:
        """Count one more."""
        self.failed += bool(told.broken)
        self.jobs += told.jobs
        self.calls += told.calls
        self.faults.update({str(kind): count for kind, count in told.faults.items() if count})
        self.broken.update(rule for rule, _ in told.broken)
        self.worst[told.home] = max(self.worst.get(told.home, 0), told.worst_recovery)

    def rules(self) -> Iterable[Broken]:
        """Those that are always told, and those that broke."""
        return [*_HEADLINES, *(rule for rule in Broken if self.broken[rule] and rule not in _HEADLINES)]


def _told(told: Told) -> str:
    broken = "; ".join(f"{rule}: {text}" for rule, text in told.broken) or "all rules hold"
    return f"seed {told.seed} ({told.style}, {told.home}, trace {told.trace:08x}): {broken}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _points() -> bool:
    good = True
    for what, points in (
        ("crash points", crash_points.crash_points()),
        ("failed calls", crash_points.failed_calls()),
        ("visits between two calls", crash_points.visits()),
    ):
        summary = crash_points.summed_up(points)
        _say(summary.told(what))
        for point in summary.bad[:_SHOWN]:
            _say(f"  {point.use_case}, {point.home}, call {point.number}, {point.how}: {point.broken}")
        good = good and not summary.bad
    return good


def _mutants() -> bool:
    killed = 0
    for mutant in mutants.MUTANTS:
        found = mutants.hunt(mutant)
        killed += found is not None
        _say(f"  {mutant.name}: {f'{found.rule}, {found.where}' if found else 'ALIVE'}")
    _say(f"mutants killed: {killed} of {len(mutants.MUTANTS)}")
    return killed == len(mutants.MUTANTS)


if __name__ == "__main__":
    sys.exit(main())
