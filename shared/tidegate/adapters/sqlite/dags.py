"""Runs of DAGs on SQLite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from tidegate.domain.dag.run import OPEN_RUNS, Run, RunState, kept_until, next_deadline
from tidegate.domain.dag.spec import FailurePolicy
from tidegate.domain.job import Ms
from tidegate.ports import RunPage, Watched

from .codec import compact
from .cursors import cursor_of, position_of
from .database import Database


class SqliteDags:
    """`Dags` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_if_absent(self, run: Run) -> Run | None:
        """See `Dags.create_if_absent`."""
        sql = (
            "INSERT INTO dags (tenant, id, state, look_at, keep_until, run, watched) VALUES (?, ?, ?, ?, ?, ?, 1)"
            " ON CONFLICT DO NOTHING RETURNING 1"
        )
        values = (run.state, next_deadline(run), kept_until(run), _text(run))
        if self._database.rows(sql, (run.tenant, run.id, *values)):
            return None
        return self.get(run.tenant, run.id)

    def get(self, tenant: str, dag_id: str) -> Run | None:
        """See `Dags.get`."""
        rows = self._database.rows("SELECT run FROM dags WHERE tenant = ? AND id = ?", (tenant, dag_id))
        return _run(rows[0][0]) if rows else None

    def put_if_unchanged(self, run: Run, seen: Run) -> bool:
        """See `Dags.put_if_unchanged`."""
        sql = (
            "UPDATE dags SET state = ?, look_at = ?, keep_until = ?, run = ?, watched = MAX(watched, ?)"
            " WHERE tenant = ? AND id = ? AND run = ? RETURNING 1"
        )
        values = (run.state, next_deadline(run), kept_until(run), _text(run), run.state in OPEN_RUNS)
        return bool(self._database.rows(sql, (*values, run.tenant, run.id, _text(seen))))

    def page(self, tenant: str, states: frozenset[RunState], limit: int, cursor: str | None) -> RunPage:
        """See `Dags.page`."""
        wanted = sorted(states) or sorted(RunState)
        before = position_of(cursor) if cursor else 2**62
        marks = ", ".join("?" * len(wanted))
        sql = f"SELECT seq, run FROM dags WHERE tenant = ? AND seq < ? AND state IN ({marks}) ORDER BY seq DESC LIMIT ?"
        rows = self._database.rows(sql, (tenant, before, *wanted, limit + 1))
        shown = rows[:limit]
        return RunPage([_run(row[1]) for row in shown], cursor_of(shown[-1][0]) if len(rows) > limit else None)

    def watched(self, after: Watched | None, limit: int) -> Sequence[Watched]:
        """See `Dags.watched`."""
        sql = (
            "SELECT tenant, id, look_at FROM dags WHERE watched = 1 AND (tenant, id) > (?, ?)"
            " ORDER BY tenant, id LIMIT ?"
        )
        start = ("", "") if after is None else (after.tenant, after.dag_id)
        return [Watched(*row) for row in self._database.rows(sql, (*start, limit))]

    def due(self, by: Ms, limit: int) -> Sequence[Watched]:
        """See `Dags.due`."""
        sql = "SELECT tenant, id, look_at FROM dags WHERE look_at <= ? ORDER BY look_at LIMIT ?"
        return [Watched(*row) for row in self._database.rows(sql, (by, limit))]

    def id_under(self, tenant: str, key: str) -> str | None:
        """See `Dags.id_under`."""
        rows = self._database.rows("SELECT dag_id FROM dag_keys WHERE tenant = ? AND key = ?", (tenant, key))
        return str(rows[0][0]) if rows else None

    def keep_under(self, tenant: str, key: str, dag_id: str) -> str:
        """See `Dags.keep_under`."""
        sql = "INSERT INTO dag_keys (tenant, key, dag_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        self._database.rows(sql, (tenant, key, dag_id))
        return self.id_under(tenant, key) or dag_id

    def let_go(self, watched: Watched, resumed: int, keep_until: Ms | None = None) -> None:  # noqa: ARG002
        """See `Dags.let_go`. Until when a run is kept stands in its row."""
        sql = "UPDATE dags SET watched = 0 WHERE tenant = ? AND id = ? AND json_extract(run, '$.resumed') <= ?"
        self._database.rows(sql, (watched.tenant, watched.dag_id, resumed))

    def outlived(self, by: Ms, limit: int) -> Sequence[Watched]:
        """See `Dags.outlived`."""
        sql = (
            "SELECT tenant, id, keep_until FROM dags WHERE keep_until <= ? AND watched = 0 ORDER BY keep_until LIMIT ?"
        )
        return [Watched(*row) for row in self._database.rows(sql, (by, limit))]

    def erase_if_unchanged(self, outlived: Watched, seen: Run | None) -> bool:
        """See `Dags.erase_if_unchanged`."""
        if seen is None:
            return False
        sql = "DELETE FROM dags WHERE tenant = ? AND id = ? AND run = ? RETURNING 1"
        with self._database.transaction() as connection:
            if not connection.execute(sql, (*outlived[:2], _text(seen))).fetchall():
                return False
            sql = "DELETE FROM dag_keys WHERE tenant = ? AND key = ? AND dag_id = ?"
            connection.execute(sql, (seen.tenant, seen.key, seen.id))
            return True


def _text(run: Run) -> str:
    return compact(asdict(run))


def _run(text: str) -> Run:
    values = json.loads(text)
    values["state"] = RunState(values["state"])
    values["stopping"] = None if values["stopping"] is None else RunState(values["stopping"])
    values["failure_policy"] = FailurePolicy(values["failure_policy"])
    values["tags"] = tuple(values["tags"])
    values["waiters"] = tuple(values["waiters"])
    return Run(**values)
