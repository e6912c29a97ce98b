"""How the jobs before a node stand, read so that a job of a wide join costs no more than one of a narrow one.

A join that waits for all needs to see one open job to go on waiting. So of many jobs one is looked at first: that
which was open the last time, or the last one, which was released last. While it is open that is all that is read,
whatever the width. A join that waits for some is not looked at before the run's figures say that there may be enough:
whoever tells of an end has counted it first. What a process remembers of its last look only saves reads; a look
that decides has read every job, or was told of it by the change feed that it COMPLETED, which is for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.domain.dag.graph import Vertex
from tidegate.domain.dag.joins import End
from tidegate.domain.dag.run import OPEN_RUNS, Run, RunState, end_in, node_job_id, node_of_item
from tidegate.domain.dag.spec import Join, outside
from tidegate.domain.job import TERMINAL, Job, State
from tidegate.ports import Glimpse, JobKey, Ports

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
_NOTHING: Mapping[str, State] = {}
_COMPLETED = Stand(State.COMPLETED, End.DONE)
_open: dict[At, str] = {}
_reached: dict[At, Reached] = {}


class Looks:
    """What is read of a run's jobs while some of its nodes are looked at: each that has ended is read once."""

    def __init__(
        self, ports: Ports, run: Run, told: Mapping[str, State] = _NOTHING, *, whatever_is_counted: bool = False
    ) -> None:
        """`told` are the jobs of whose ends the change feed tells: see `suspects`."""
        self._ports = ports
        self._run = run
        self._suspects = frozenset(suspects(told))
        self._thorough = whatever_is_counted
        self._told = told
        self._ended: dict[str, Stand] = {}
        self._ahead: Mapping[str, Stand] = {}
        self._jobs: dict[str, Job] = {}
        self._results: dict[str, Mapping[str, Any]] = {}

    def narrowly(self, vertices: Collection[Vertex]) -> None:
        """Read what is before some nodes that wait for a few jobs each, in as few requests as can be."""
        self._ahead = {}
        names = dict.fromkeys(name for vertex in vertices for name in vertex.depends_on)
        wanted = frozenset(name for vertex in vertices for name in vertex.looks_at)
        self._ahead = self._read(list(names), wanted)

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
        """How the jobs of these names stand; those `wanted` are read whole, so that their results are at hand."""
        known = {name: stand for name in names if (stand := self._known(name, wanted)) is not None}
        unknown = [name for name in names if name not in known]
        whole = [name for name in unknown if name in wanted]
        read = dict(zip(whole, self._get(whole), strict=True))
        for name, job in read.items():
            known[name] = self._stand(name, None if job is None else Glimpse(job.state, job.broken))
            if job is not None and len(self._jobs) < CHUNK:
                self._jobs[name] = job
        rest = [name for name in unknown if name not in read]
        for name, seen in zip(rest, self._glimpse(rest), strict=True):
            known[name] = self._stand(name, seen)
        return {name: known[name] for name in names}

    def _known(self, name: str, wanted: Collection[str]) -> Stand | None:
        """What was read of a job, or told where nobody wants its result."""
        found = self._ended.get(name) or self._ahead.get(name)
        if found is None and name not in wanted and self._told.get(name) is State.COMPLETED:
            return _COMPLETED
        return found

    def _stand(self, name: str, seen: Glimpse | None) -> Stand:
        if seen is None:
            stand = Stand(None, self._end_of_missing(name))
        else:
            stand = Stand(seen.state, end_in(seen.state, broken=seen.broken))
        if stand.end is not None:
            self._ended[name] = stand
        return stand

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
        return [job for keys in self._keys(names) for job in self._ports.jobs.get(keys)]

    def _glimpse(self, names: Sequence[str]) -> list[Glimpse | None]:
        return [seen for keys in self._keys(names) for seen in self._ports.jobs.glimpse(keys)]

    def _keys(self, names: Sequence[str]) -> Iterator[list[JobKey]]:
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            yield [JobKey(self._run.tenant, node_job_id(self._run.id, name)) for name in chunk]

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


def suspects(told: Mapping[str, State]) -> list[str]:
    """Those of the ended jobs that may have failed, or hung on one that did: one of them may decide alone."""
    return [name for name, state in told.items() if state is not State.COMPLETED]


def is_narrow(vertex: Vertex) -> bool:
    """Whether a node waits for the ends of a few jobs, all of which are read at once."""
    waits_for_some = not vertex.cleanup and vertex.join in {Join.ANY, Join.N_OF}
    return len(vertex.depends_on) <= NARROW and not waits_for_some


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
