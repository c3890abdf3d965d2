"""Where the engine's book is kept: a SQLite file on one machine, PostgreSQL for a team. Transactions are serial.

The book is small and written a few times a second at most, so that every transaction has it to itself: locks, limits
and decisions are then plain reads followed by plain writes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from vitalops.errors import VitalopsError

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS vitalops_runs (id TEXT PRIMARY KEY, key TEXT UNIQUE, state TEXT NOT NULL,"
    " runbook TEXT NOT NULL, created DOUBLE PRECISION NOT NULL, body TEXT NOT NULL, given_up TEXT NOT NULL,"
    " unrecorded TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS vitalops_runs_created ON vitalops_runs (created)",
    "CREATE TABLE IF NOT EXISTS vitalops_locks (target TEXT PRIMARY KEY, run TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS vitalops_tokens (target TEXT PRIMARY KEY, token BIGINT NOT NULL)",
)


class Rows(Protocol):
    """One transaction."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Parameters are written as `?`. Returns the rows, none for a statement that gives none."""
        ...


class Database(Protocol):
    def transaction(self) -> Any:
        """A context manager of Rows: committed at its end, rolled back by an exception. Nobody else is in one.

        Raises RemoteError where the database is not reached.
        """
        ...


class SqliteDatabase:
    """A file, or `:memory:`."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._memory: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        if str(path) == ":memory:":
            self._memory = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        else:
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.transaction() as rows:
            for statement in SCHEMA:
                rows.execute(statement)

    @contextmanager
    def transaction(self) -> Generator[Rows]:
        with self._lock:
            connection = self._memory or self._open()
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield _SqliteRows(connection)
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
            except sqlite3.Error as error:
                raise VitalopsError(
                    f"the book of operations cannot be used: {self._path}: {error}",
                    hint="is its disk full, or the file another user's?",
                ) from None
            finally:
                if self._memory is None:
                    connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._path, timeout=20.0, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error as error:
            raise VitalopsError(f"the book of operations cannot be opened: {self._path}: {error}") from None
        return connection

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()


class _SqliteRows:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, tuple(parameters)).fetchall()
