"""One SQLite file, opened once per thread; every write is one immediate transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from tidegate.domain.errors import Unavailable

from .migrate import migrate

SCHEMA_VERSION = 4
"""Raised with every change of schema.sql; a file of an earlier one is migrated when it is opened."""
_BUSY_SECONDS = 10.0


class Database:
    """Access to the file. Safe to share between threads; each thread gets a connection of its own.

    `synchronous` is SQLite's pragma: NORMAL survives the death of any process, FULL survives the loss of
    power too at the price of one disk flush a commit (https://www.sqlite.org/pragma.html#pragma_synchronous).
    """

    def __init__(self, path: Path, synchronous: str = "NORMAL") -> None:
        self.path = path
        self._synchronous = synchronous
        self._local = threading.local()
        try:
            self._migrate()
        except sqlite3.DatabaseError as error:
            raise translated(error) from error

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one statement, in a transaction of its own unless one is open on this thread."""
        try:
            return self._connection().execute(sql, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            raise translated(error) from error

    def many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters, all in one transaction."""
        if len(parameters) == 1:
            self.rows(sql, parameters[0])
            return
        with self.transaction() as connection:
            connection.executemany(sql, parameters)

    def transaction(self) -> Transaction:
        """All or nothing. Joins the transaction that is open on this thread, if there is one."""
        return Transaction(self._connection())

    def version(self) -> int:
        """A number that changes when another connection has written to the file."""
        return int(self.rows("PRAGMA data_version")[0][0])

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            del self._local.connection

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, cached_statements=512, check_same_thread=False
            )
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA cache_size = -16000")
            self._local.connection = connection
        return connection

    def _migrate(self) -> None:
        connection = self._connection()
        connection.execute("PRAGMA journal_mode = WAL")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA_VERSION:
            raise Unavailable(f"{self.path} was written by a newer Tidegate (schema {found})")
        if found == SCHEMA_VERSION:
            return
        schema = files(__package__).joinpath("schema.sql").read_text()
        try:
            migrate(connection, schema, SCHEMA_VERSION)
        except sqlite3.IntegrityError as error:
            told = f"{self.path} of schema {found} cannot be brought to schema {SCHEMA_VERSION}, and was left as it is"
            raise Unavailable(f"{told}: {error}") from error


class Transaction:
    """`with database.transaction() as connection`: commits at the end, or takes everything back on an error."""

    __slots__ = ("_connection", "_joined")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._joined = connection.in_transaction

    def __enter__(self) -> sqlite3.Connection:
        if not self._joined:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.DatabaseError as error:
                raise translated(error) from error
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if self._joined:
                return
            if error is None:
                self._connection.execute("COMMIT")
            elif self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as failed:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise translated(failed) from failed
        finally:
            if isinstance(error, sqlite3.DatabaseError):
                raise translated(error) from error


def translated(error: sqlite3.DatabaseError) -> Exception:
    """SQLite's error as Tidegate's: locked, full, read-only and damaged files are `Unavailable`; bugs stay."""
    code = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    if code == "SQLITE_ERROR" or isinstance(
        error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.InterfaceError
    ):
        return error
    return Unavailable(f"the database cannot be used: {error}", sqlite=code)
