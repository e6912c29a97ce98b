"""Brings a file of another version to the present schema, its rows kept, all or nothing.

The schema is declared once, in `schema.sql`: what a file lacks follows from comparing the two, so there is no list of
steps to keep. A table that differs is made anew and its rows are copied, as SQLite recommends for changes that
ALTER TABLE cannot make (https://www.sqlite.org/lang_altertable.html#otheralter).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

_BEFORE = "before_migration_"


class _Thing(NamedTuple):
    """A table, an index or a trigger."""

    kind: str
    name: str


def migrate(connection: sqlite3.Connection, schema: str, version: int) -> None:
    """Make the file's tables, indexes and triggers those of `schema`, and note `version`.

    Tables that the schema does not know stay as they are. Raises sqlite3.DatabaseError, and changes nothing, when
    rows do not fit; a file that somebody else brought to `version` meanwhile is left alone.
    """
    wanted = _declared(schema)
    connection.execute("PRAGMA legacy_alter_table = ON")  # a table's old name in an index or trigger is not rewritten
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] < version:
            _bring(connection, wanted)
            connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("PRAGMA legacy_alter_table = OFF")


def _bring(connection: sqlite3.Connection, wanted: Mapping[_Thing, str]) -> None:
    found = _things(connection)
    for thing in found:
        if thing.kind == "trigger":  # else it would tell of rows that are only copied
            connection.execute(f'DROP TRIGGER "{thing.name}"')
    for thing, sql in found.items():
        if thing.kind == "index" and wanted.get(thing) != sql:
            connection.execute(f'DROP INDEX "{thing.name}"')
    for thing, sql in wanted.items():
        if thing.kind == "table" and thing in found and found[thing] != sql:
            _make_anew(connection, thing.name, sql)
    there = _things(connection)
    for thing, sql in wanted.items():
        if thing not in there:
            connection.execute(sql)


def _make_anew(connection: sqlite3.Connection, table: str, sql: str) -> None:
    """The table as `sql` declares it, with the rows of the old one as far as columns are the same."""
    before = _BEFORE + table
    connection.execute(f'ALTER TABLE "{table}" RENAME TO "{before}"')
    connection.execute(sql)
    kept = [column for column in _columns(connection, before) if column in _columns(connection, table)]
    names = ", ".join(f'"{column}"' for column in kept)
    connection.execute(f'INSERT INTO "{table}" ({names}) SELECT {names} FROM "{before}"')
    if "AUTOINCREMENT" in sql:  # numbers that were given once are not given again
        (last,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (before,)).fetchone() or (0,)
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))
    connection.execute(f'DROP TABLE "{before}"')


def _declared(schema: str) -> dict[_Thing, str]:
    memory = sqlite3.connect(":memory:")
    try:
        memory.executescript(schema)
        return _things(memory)
    finally:
        memory.close()


def _things(connection: sqlite3.Connection) -> dict[_Thing, str]:
    """Tables come before what is made on them."""
    rows = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite^_%' ESCAPE '^' "
        "ORDER BY type <> 'table', rowid"
    )
    return {_Thing(kind, name): sql for kind, name, sql in rows}


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """Those that can be written: not the generated ones."""
    return [row[1] for row in connection.execute(f'PRAGMA table_xinfo("{table}")') if row[6] in (0, 1)]
