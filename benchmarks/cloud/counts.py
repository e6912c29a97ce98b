"""The committed table of counts: what a change may not raise without saying so.

`python -m benchmarks.cloud.counts` writes it anew.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).with_name("counts.toml")
_HEAD = """\
# What each flow asks of AWS, for one job or call: SDK calls, requests billed by SQS, write units, read units.
# tests/contract/test_costs.py fails when a change raises one of them; `python -m benchmarks.cloud.counts`
# writes them anew.
"""

Counts = Mapping[str, Mapping[str, float]]


def committed() -> Counts:
    """The table in the repository."""
    return tomllib.loads(FILE.read_text())


def raised(before: Counts, now: Counts) -> list[str]:
    """What costs more than before, in words, and flows that only one of the tables has."""
    faults = [f"{name}: only in one of the tables" for name in sorted(before.keys() ^ now.keys())]
    for name in sorted(before.keys() & now.keys()):
        for what, limit in before[name].items():
            if now[name][what] > limit + 1e-6:
                faults.append(f"{name}: {what} {limit:g} → {now[name][what]:g}")
    return faults


def write(now: Counts) -> None:
    """Replace the table."""
    lines = [_HEAD]
    for name, values in now.items():
        lines += [f'["{name}"]', *(f"{what} = {value:g}" for what, value in values.items()), ""]
    FILE.write_text("\n".join(lines).rstrip() + "\n")


def main() -> None:
    """Count, and write the table."""
    sys.path.append(str(Path(__file__).parents[2] / "tests"))
    from support.aws import cloud

    from .flows import count_all
    from .stage import Stage

    with cloud() as made:
        write({name: flow.counts() for name, flow in count_all(Stage(made)).items()})


if __name__ == "__main__":
    main()
