"""How the jobs before a node stand, read so that a job of a wide join costs no more than one of a narrow one.

A join that waits for all needs to see one open job to go on waiting. So of many jobs one is looked at first: that
which was open the last time, or the last one, which was released last. While it is open that is all that is read,
whatever the width. A join that waits for some is not looked at before the run's figures say that there may be enough:
whoever tells of an end has counted it first. What a process remembers of its last look only saves reads; a look
that decides has read every job.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.domain.dag.graph import Vertex
from tidegate.domain.dag.joins import End
from tidegate.domain.dag.run import OPEN_RUNS, Run, RunState, end_of, node_job_id, node_of_item
from tidegate.domain.dag.spec import Join, outside
from tidegate.domain.job import TERMINAL, Job, State
from tidegate.ports import JobKey, Ports

from .payloads import with_payloads
from .record_changes import run_series

CHUNK = 100
NARROW = 10
"""Of so many jobs all are read at once: that costs a request less when the last of them has ended."""
_KEPT = 1_000
_RESULTS_KEPT = 8


class Stand(NamedTuple):
    """How a job stands: its state (None: it is not there), and what its end means (None: it goes on)."""

    state: State | None
    end: End | None


class Reached(NamedTuple):
    """What the last look at a join that waits for some found: how many had COMPLETED, of how many in the run."""

    done: int
    counted: int


At = tuple[str, int, str]
"""A join of one life of a run: the run's id, how often it was resumed, the node."""
_open: dict[At, str] = {}
_reached: dict[At, Reached] = {}


class Looks:
    """What is read of a run's jobs while some of its nodes are looked at: each that has ended is read once."""

    def __init__(
        self, ports: Ports, run: Run, suspects: Collection[str] = (), *, whatever_is_counted: bool = False
    ) -> None:
        """`suspects` are jobs that may have failed: they are looked at first, for one may decide alone."""
        self._ports = ports
        self._run = run
        self._suspects = frozenset(suspects)
        self._thorough = whatever_is_counted
        self._ended: dict[str, Stand] = {}
        self._jobs: dict[str, Job] = {}
        self._results: dict[str, Mapping[str, Any]] = {}

    def before(self, node: str, vertex: Vertex) -> Mapping[str, Stand]:
        """The jobs that a node waits for, in order; fewer than all only if those left out cannot decide anything."""
        if not vertex.cleanup and vertex.join in {Join.ANY, Join.N_OF}:
            return self._some(node, vertex)
        return self.until_open(node, vertex.depends_on, vertex.looks_at)

    def until_open(self, node: str, names: Sequence[str], wanted: Collection[str] = ()) -> Mapping[str, Stand]:
        """The jobs of these names, in order; reading ends with the first chunk that has an open one."""
        join = self._join(node)
        found: dict[str, Stand] = {}
        for chunk in self._in_turn(names, _open.get(join)):
            stands = self._read(chunk, wanted)
            found |= stands
            first_open = next((name for name in chunk if stands[name].end is None), None)
            if first_open is not None:
                _remember(_open, join, first_open)
                break
        return {name: found[name] for name in names if name in found}

    def results(self, names: Collection[str]) -> dict[str, Any]:
        """State and result of some jobs that have ended, by name; nothing of a job that is not there."""
        found: dict[str, Any] = {}
        for name in names:
            known = self._results.get(name) or self._result(name)
            if known is not None:
                found[name] = known
        return found

    def _result(self, name: str) -> Mapping[str, Any] | None:
        job = self._jobs.pop(name, None) or self._get([name])[0]
        if job is None:
            return None
        full = with_payloads(self._ports.blobs, job)
        if len(self._results) >= _RESULTS_KEPT:
            self._results.pop(next(iter(self._results)))
        self._results[name] = {"state": full.state.value, "result": full.result}
        return self._results[name]

    def _some(self, node: str, vertex: Vertex) -> Mapping[str, Stand]:
        names, join = vertex.depends_on, self._join(node)
        wide = len(names) > NARROW and not any(outside(name) for name in names)
        counted = self._counted() if wide else {}
        if wide and not self._thorough and not _may_decide(vertex, counted, _reached.get(join, Reached(0, 0))):
            return {}
        found = self._read(names, vertex.looks_at)
        if wide:
            done = sum(stand.end is End.DONE for stand in found.values())
            _remember(_reached, join, Reached(done, counted.get(State.COMPLETED, 0)))
        return found

    def _counted(self) -> Mapping[str, int]:
        return self._ports.figures.read(self._run.tenant, run_series(self._run.id))

    def _read(self, names: Sequence[str], wanted: Collection[str]) -> dict[str, Stand]:
        unknown = [name for name in names if name not in self._ended]
        read: dict[str, Stand] = {}
        for name, job in zip(unknown, self._get(unknown), strict=True):
            read[name] = Stand(None, self._end_of_missing(name)) if job is None else Stand(job.state, end_of(job))
            if read[name].end is not None:
                self._ended[name] = read[name]
            if job is not None and name in wanted and len(self._jobs) < CHUNK:
                self._jobs[name] = job
        return {name: read.get(name) or self._ended[name] for name in names}

    def _end_of_missing(self, name: str) -> End | None:
        """A job of another run that has ended, or is gone, will never be there: it was never stored, or erased.

        One of this run was erased: all were stored before the run began. Entries may not have been made yet.
        """
        other = outside(name)
        if other is None:
            return None if self._run.state is RunState.CREATED or node_of_item(name) is not None else End.BROKEN
        run = self._ports.dags.get(self._run.tenant, other[0])
        return None if run is not None and run.state in OPEN_RUNS else End.BROKEN

    def _get(self, names: Sequence[str]) -> list[Job | None]:
        found: list[Job | None] = []
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            found += self._ports.jobs.get([JobKey(self._run.tenant, node_job_id(self._run.id, name)) for name in chunk])
        return found

    def _in_turn(self, names: Sequence[str], last_open: str | None) -> Iterator[Sequence[str]]:
        """The names in chunks: of many first one and the suspects, then the chunk that it is in, and so round."""
        chunks = [names[max(0, end - CHUNK) : end] for end in range(len(names), 0, -CHUNK)]
        first = 0
        if len(names) > NARROW and not self._thorough:
            known = frozenset(names)
            one = last_open if last_open in known else names[-1]
            yield list(dict.fromkeys([one, *sorted(self._suspects & known)]))
            first = next(number for number, chunk in enumerate(chunks) if one in chunk)
        yield from chunks[first:]
        yield from chunks[:first]

    def _join(self, node: str) -> At:
        return self._run.id, self._run.resumed, node


def _may_decide(vertex: Vertex, counted: Mapping[str, int], last: Reached) -> bool:
    """Whether enough may have COMPLETED since the last look, or so many ended otherwise that not enough can."""
    wanted = 1 if vertex.join is Join.ANY else vertex.join_count or 1
    done = counted.get(State.COMPLETED, 0)
    otherwise = sum(counted.get(state, 0) for state in TERMINAL) - done
    return last.done + done - last.counted >= wanted or otherwise > len(vertex.depends_on) - wanted


def _remember(notes: dict[Any, Any], join: At, note: str | Reached) -> None:
    """Keep what was seen of the joins that were looked at last."""
    notes.pop(join, None)
    if len(notes) >= _KEPT:
        notes.pop(next(iter(notes)))
    notes[join] = note
