"""What each operation costs with ever more jobs waiting."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import Table, shown, slope
from tidegate import runtime
from tidegate.adapters.system import now_ms
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.job import State
from tidegate.domain.spec import MAX_BATCH, JobSpec
from tidegate.domain.ticket import decode
from tidegate.ports import JobQuery, Ports
from tidegate.service.claim import Claimed, claim_for
from tidegate.service.submit import submit, submit_one
from tidegate.service.tick import tick

_CALLER = Caller("main", "bench", frozenset({Scope.ADMIN}))
_TURNS = 40
_CALLS = 5
"""Calls of each operation a turn. The sizes take turns, so that what else the machine does strikes them alike."""
_AT_ONCE = 50
"""Batches stored in one commit while the backlog is made."""

_WAITED_MS = 61_000
"""Then the clock looks at a lane's head, for those who wait there may have been forgotten."""

Operation = Callable[[Ports], object]


def measure(folder: Path, sizes: Sequence[int]) -> Table:
    """The median processor time of each operation at each size, and the exponent of its growth."""
    with _homes(folder, sizes) as homes:
        used: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        for _ in range(_TURNS):
            for size, ports in homes.items():
                for name, operation in _OPERATIONS.items():
                    used[name, size] += [_microseconds(operation, ports) for _ in range(_CALLS)]
    table = Table(
        "Embedded: processor time (µs) of one operation by the number of waiting jobs",
        ("", *(f"{size:,}" for size in sizes), "exponent"),
    )
    for name in _OPERATIONS:
        medians = [statistics.median(used[name, size]) for size in sizes]
        table.add(name, *medians, shown(round(slope(sizes, medians), 3)))
    table.notes.append(
        f"Medians of {_TURNS * _CALLS} calls, the sizes taking turns, all jobs in one lane. The exponent e "
        "says that the cost grows as (jobs waiting)^e: 0 is flat."
    )
    return table


@contextmanager
def _homes(folder: Path, sizes: Sequence[int]) -> Iterator[dict[int, Ports]]:
    """A home for each size, whose clock shows that all its jobs have waited for longer than a minute."""
    folders = {size: folder / f"backlog-{size}" for size in sizes}
    for size, each in folders.items():
        filling = runtime.embedded(each).ports
        _fill(filling, size)
        filling.close()
    homes = {size: runtime.embedded(each, now=lambda: now_ms() + _WAITED_MS).ports for size, each in folders.items()}
    try:
        yield homes
    finally:
        for ports in homes.values():
            ports.close()


def _fill(ports: Ports, size: int) -> None:
    for start in range(0, size, MAX_BATCH * _AT_ONCE):
        with ports.together():
            for first in range(start, min(start + MAX_BATCH * _AT_ONCE, size), MAX_BATCH):
                numbers = range(first, min(first + MAX_BATCH, size))
                submit(ports, _CALLER, [JobSpec(name="noop", data=n, priority=n % 10) for n in numbers])


def _microseconds(operation: Operation, ports: Ports) -> float:
    started = time.process_time()
    operation(ports)
    return (time.process_time() - started) * 1e6


def _submit(ports: Ports) -> None:
    submit_one(ports, _CALLER, JobSpec(name="noop", data=1))


def _claim(ports: Ports) -> None:
    (delivery,) = ports.tickets.receive("default", 1, 0)
    claim = claim_for(ports, decode(delivery.body), "bench", 10, receives=delivery.receives)
    if not isinstance(claim, Claimed):
        raise TypeError(f"nothing was claimed: {claim}")
    ports.tickets.finish([delivery])


def _page(ports: Ports) -> None:
    ports.jobs.page(JobQuery(tenant="main"))


def _page_of_waiting(ports: Ports) -> None:
    ports.jobs.page(JobQuery(tenant="main", states=frozenset({State.CREATED})))


def _tick(ports: Ports) -> None:
    tick(ports, 1.0, None)


_OPERATIONS: dict[str, Operation] = {
    "submit one job": _submit,
    "claim the best job (ticket included)": _claim,
    "list the newest 50": _page,
    "list the newest 50 that wait": _page_of_waiting,
    "clock tick, its work of a minute": _tick,
}
