"""The book and the claims of a team: in PostgreSQL. The only module here that knows its driver."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from runbooks.engine.claims import Claim, patiently
from runbooks.engine.database import SCHEMA, Rows
from vitalops.errors import RemoteError


class PostgresDatabase:
    """A database that a team shares: `postgresql://user@host/name`. The password belongs in ~/.pgpass."""

    _SERIAL: Final = 0x766F7073

    def __init__(self, url: str) -> None:
        self._url = url
        with self.transaction() as rows:
            for statement in SCHEMA:
                rows.execute(statement)

    @contextmanager
    def transaction(self) -> Generator[Rows]:
        import psycopg

        try:
            with psycopg.connect(self._url, connect_timeout=5, application_name="vitalops") as connection:
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (self._SERIAL,))
                yield _PostgresRows(connection)
        except psycopg.Error as error:
            line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise RemoteError(
                f"the team's database of operations cannot be used: {line}",
                hint="VITALOPS_OPERATIONS_DATABASE names it",
            ) from None


class _PostgresRows:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(sql.replace("?", "%s"), tuple(parameters))
        return list(cursor.fetchall()) if cursor.description else []


class PostgresClaims:
    """An advisory lock of a session for each run: the server lets go when the connection ends."""

    def __init__(self, url: str) -> None:
        self._url = url

    def claim(self, run: str) -> Claim | None:
        return patiently(lambda: self._claim(run))

    def _claim(self, run: str) -> Claim | None:
        connection = self._connect()
        if connection.execute("SELECT pg_try_advisory_lock(%s)", (_number(run),)).fetchone()[0]:
            return _PostgresClaim(connection)
        connection.close()
        return None

    def is_claimed(self, run: str) -> bool:
        with self._connect() as connection:
            return not connection.execute("SELECT pg_try_advisory_lock(%s)", (_number(run),)).fetchone()[0]

    def _connect(self) -> Any:
        import psycopg

        # A runner whose machine is gone must not keep its runs for the hours that TCP takes by itself.
        try:
            return psycopg.connect(
                self._url,
                autocommit=True,
                application_name="vitalops run",
                connect_timeout=5,
                tcp_user_timeout=10_000,
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
            )
        except psycopg.Error as error:
            line = str(error).strip().splitlines()[0]
            raise RemoteError(
                f"the team's database of operations is not reached: {line}",
                hint="VITALOPS_OPERATIONS_DATABASE names it",
            ) from None


class _PostgresClaim:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def holds(self) -> bool:
        try:
            self._connection.execute("SELECT 1")
        except Exception:
            return False
        return True

    def release(self) -> None:
        self._connection.close()


def _number(run: str) -> int:
    return int.from_bytes(hashlib.sha256(run.encode()).digest()[:8], "big", signed=True)
