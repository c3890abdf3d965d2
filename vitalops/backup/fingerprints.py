"""What every table holds, as rows and a sum of hashes, and a moment at which that is known for sure.

A restore can be compared with the living database only at a moment at which both are known. Such a moment is found
without stopping anybody for long: every database's tables are locked against writers, a snapshot is taken in each, a
restore point is written to the WAL, and the locks are let go of again, some milliseconds later. The snapshots stay, and
are read at leisure.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from vitalops.backup.archiver import connect
from vitalops.errors import RemoteError

LOCK_MILLISECONDS: Final = 300
"""How long writers may be made to wait behind the locks, at most; then it is tried again later."""
TRIES: Final = 20
_SETTINGS: Final = (
    "SET statement_timeout = 0",
    "SET timezone = 'UTC'",
    "SET datestyle = 'ISO, YMD'",
    "SET intervalstyle = 'postgres'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
)
_DATABASES: Final = (
    "SELECT datname FROM pg_database"
    " WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres' ORDER BY 1"
)
_TABLES: Final = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence = 'p'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%'
 ORDER BY 1, 2
"""

Prints = dict[str, tuple[int, str]]
"""`database.schema.table` -> rows, and the sum of the rows' 64-bit hashes."""


@dataclass(frozen=True, slots=True)
class Point:
    """A restore point, and what was held then."""

    name: str
    position: str
    segment: str
    """WAL segment that ends with it: archived, it can be restored to."""
    at: float
    paused_seconds: float
    """How long writers may have waited."""
    prints: Prints


def databases() -> list[str]:
    with connect(autocommit=True) as connection:
        return [str(row[0]) for row in connection.execute(_DATABASES).fetchall()]


def tables(connection: Any) -> list[tuple[str, str]]:
    return [(str(row[0]), str(row[1])) for row in connection.execute(_TABLES).fetchall()]


def fingerprint(connection: Any, schema: str, table: str) -> tuple[int, str]:
    """Rows, and a sum that does not depend on their order. Nothing that a row says leaves the server."""
    from psycopg import sql

    query = sql.SQL(
        "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {} AS t"
    ).format(sql.Identifier(schema, table))
    row = connection.execute(query).fetchone()
    return int(row[0]), str(row[1])


def prints_of(connection: Any, database: str, found: list[tuple[str, str]]) -> Prints:
    return {f"{database}.{schema}.{table}": fingerprint(connection, schema, table) for schema, table in found}


def everything() -> Prints:
    """Of a database in which nothing changes: a restored one."""
    made: Prints = {}
    for database in databases():
        with _reading(database) as connection:
            made |= prints_of(connection, database, tables(connection))
    return made


@contextmanager
def _reading(database: str) -> Generator[Any]:
    from psycopg import IsolationLevel

    with connect(database) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.cursor() as cursor:
            for setting in _SETTINGS:
                cursor.execute(setting)
        connection.commit()
        yield connection
        connection.rollback()


def take(name: str) -> Point:
    """A restore point of that name, with what every table held at it.

    Raises RemoteError where writers do not leave a moment, psycopg.Error where the database refuses.
    """
    import psycopg

    with ExitStack() as held:
        opened: list[tuple[str, Any, list[tuple[str, str]]]] = []
        for database in databases():
            connection = held.enter_context(_reading(database))
            found = tables(connection)
            connection.rollback()
            opened.append((database, connection, found))
        control = held.enter_context(connect(autocommit=True))
        for attempt in range(TRIES):
            try:
                point = _at_once(name, control, opened)
                break
            except psycopg.errors.LockNotAvailable:
                for _, connection, _ in opened:
                    connection.rollback()
                time.sleep(0.1 * (attempt + 1))
        else:
            raise RemoteError(
                f"writers left no moment of {LOCK_MILLISECONDS} ms in {TRIES} tries",
                hint="try again when nothing runs for long; see pg_stat_activity",
            )
        prints: Prints = {}
        for database, connection, found in opened:
            prints |= prints_of(connection, database, found)
        return Point(**point, prints=prints)


def _at_once(name: str, control: Any, opened: list[tuple[str, Any, list[tuple[str, str]]]]) -> dict[str, Any]:
    from psycopg import sql

    began = time.monotonic()
    for _, connection, found in opened:
        connection.execute("SAVEPOINT locked")
        if found:
            names = sql.SQL(", ").join(sql.Identifier(schema, table) for schema, table in found)
            # LOCK takes no snapshot: the one that follows sees whatever was committed before the locks.
            left = LOCK_MILLISECONDS - int((time.monotonic() - began) * 1000)
            connection.execute(f"SET LOCAL lock_timeout = {max(left, 1)}")
            connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(names))
    for _, connection, _ in opened:
        connection.execute("SELECT pg_current_snapshot()")
    position, at = control.execute(
        "SELECT pg_create_restore_point(%s)::text, extract(epoch FROM clock_timestamp())::float8", (name,)
    ).fetchone()
    for _, connection, _ in opened:
        connection.execute("ROLLBACK TO SAVEPOINT locked")
    paused = time.monotonic() - began
    segment = control.execute("SELECT pg_walfile_name(%s::pg_lsn)", (position,)).fetchone()[0]
    # A commit after the point: without one, recovery to an earlier time would look for more WAL and fail.
    control.execute("SELECT pg_current_xact_id()")
    # The segment goes to the archive now rather than when it is full.
    control.execute("SELECT pg_switch_wal()")
    return {
        "name": name,
        "position": str(position),
        "segment": str(segment),
        "at": float(at),
        "paused_seconds": round(paused, 4),
    }
