"""One SQLite file, opened once per thread; every write is one immediate transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from tidegate.domain.errors import Unavailable

SCHEMA_VERSION = 2
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
        with _translated():
            self._migrate()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one statement, in a transaction of its own unless one is open on this thread."""
        with _translated():
            return self._connection().execute(sql, parameters).fetchall()

    def many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters, all in one transaction."""
        with self.transaction() as connection:
            connection.executemany(sql, parameters)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Joins the transaction that is open on this thread, if there is one."""
        with _translated():
            connection = self._connection()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

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
        connection.executescript(f"BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")


@contextmanager
def _translated() -> Iterator[None]:
    """SQLite's errors as Tidegate's: locked, full, read-only or damaged files are `Unavailable`."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
        if code == "SQLITE_ERROR":
            raise
        raise Unavailable(f"the database cannot be used: {error}", sqlite=code) from error
