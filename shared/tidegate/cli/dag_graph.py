"""A run in the terminal: its nodes in the order of their dependencies, when each was at work, the path that decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from .output import clean

MARKS = {"COMPLETED": "✓", "FAILED": "✗", "ACTIVE": "▶", "SKIPPED": "–", "CANCELLED": "■", "EXPIRED": "⌛"}
_BAR = 32
_PARENTS = 4


def drawing(graph: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """The lines of the picture that `GET /dags/{id}/graph` answers as JSON."""
    nodes = {str(node["id"]): node for node in graph["nodes"] if "[" not in node["id"]}
    entries = Counter(str(node["id"]).split("[")[0] for node in graph["nodes"] if "[" in node["id"])
    parents: dict[str, list[str]] = {node: [] for node in nodes}
    for parent, child in graph["edges"]:
        parents[child].append(parent)
    spans = _spans(graph["nodes"], now)
    names = {node: f"{clean(node)} ×{entries[node]}" if node in entries else clean(node) for node in nodes}
    width = max(map(len, names.values()), default=0)
    whole = _whole(spans)
    for node in _in_order(parents):
        star = "*" if node in graph["critical_path"] else " "
        mark = MARKS.get(nodes[node]["state"], "·")
        bar = _bar(spans.get(node), whole)
        after = f"  ← {_few(parents[node])}" if parents[node] else ""
        yield f"{mark}{star} {names[node]:<{width}}  {_seconds(spans.get(node)):>9}  {bar}{after}".rstrip()
    if graph["critical_path"] and whole is not None:
        path = " → ".join(map(clean, graph["critical_path"]))
        yield f"* critical path, {_seconds(whole)}: {path}"


Span = tuple[datetime, datetime]


def _spans(nodes: list[Mapping[str, Any]], now: datetime) -> dict[str, Span]:
    """When each node was at work, from its first entry on; those that never began are left out."""
    spans: dict[str, Span] = {}
    for node in nodes:
        if node["started_at"] is None:
            continue
        owner = str(node["id"]).split("[")[0]
        started = datetime.fromisoformat(node["started_at"])
        ended = now if node["completed_at"] is None else datetime.fromisoformat(node["completed_at"])
        before = spans.get(owner, (started, ended))
        spans[owner] = min(started, before[0]), max(ended, before[1], started)
    return spans


def _whole(spans: Mapping[str, Span]) -> Span | None:
    if not spans:
        return None
    return min(start for start, _ in spans.values()), max(end for _, end in spans.values())


def _bar(span: Span | None, whole: Span | None) -> str:
    """Where in the run's time the node was at work."""
    if span is None or whole is None:
        return " " * _BAR
    length = max((whole[1] - whole[0]).total_seconds(), 0.001)
    first = min(_BAR - 1, int((span[0] - whole[0]).total_seconds() / length * _BAR))
    last = max(first + 1, round((span[1] - whole[0]).total_seconds() / length * _BAR))
    return f"{' ' * first}{'█' * (last - first)}".ljust(_BAR)


def _in_order(parents: Mapping[str, list[str]]) -> list[str]:
    """Nodes after all that they depend on; those of one depth together."""
    children: dict[str, list[str]] = {node: [] for node in parents}
    waiting = {node: len(found) for node, found in parents.items()}
    for node, found in parents.items():
        for parent in found:
            children[parent].append(node)
    ready = [node for node, left in waiting.items() if not left]
    for node in ready:
        for child in children[node]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    return ready


def _few(names: list[str]) -> str:
    more = "" if len(names) <= _PARENTS else f" and {len(names) - _PARENTS} more"
    return ", ".join(map(clean, names[:_PARENTS])) + more


def _seconds(span: Span | None) -> str:
    return "" if span is None else f"{(span[1] - span[0]).total_seconds():.2f} s"


def now() -> datetime:
    """The time by which what goes on is drawn."""
    return datetime.now(UTC)
