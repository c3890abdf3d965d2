"""The guard's look at the PostgreSQL beside it: one connection over the local socket, kept open."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import psycopg

_LOOK: Final = """
SELECT pg_is_in_recovery() AS standby,
       current_setting('synchronous_standby_names') AS names,
       extract(epoch FROM clock_timestamp())::float8 AS clock,
       CASE WHEN pg_is_in_recovery()
            THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn
            ELSE pg_current_wal_flush_lsn() - '0/0'::pg_lsn END::bigint AS position,
       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0'::pg_lsn
            ELSE pg_current_wal_flush_lsn() - '0/0'::pg_lsn END::bigint AS replayed,
       CASE WHEN pg_is_in_recovery()
            THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                          (SELECT timeline_id FROM pg_control_checkpoint()))
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int
       END AS timeline,
       EXISTS (SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming') AS streaming
"""
_FOLLOWERS: Final = """
SELECT application_name AS name, state, sync_state IN ('sync', 'quorum') AS synchronous,
       greatest(pg_current_wal_flush_lsn() - flush_lsn, 0)::bigint AS lag_bytes,
       coalesce(extract(epoch FROM replay_lag), 0)::float8 AS lag_seconds
FROM pg_stat_replication WHERE application_name = ANY(%s) ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Follower:
    name: str
    streaming: bool
    synchronous: bool
    lag_bytes: int
    lag_seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    """PostgreSQL just now. `role`: `primary`, `standby`, or `none` where it takes no connections."""

    role: str
    names: str = ""
    """synchronous_standby_names as it is in effect."""
    clock: float = 0.0
    position: int = 0
    replayed: int = 0
    timeline: int = 0
    streaming: bool = False
    followers: tuple[Follower, ...] = ()

    @property
    def writable(self) -> bool:
        return self.role == "primary"


NOBODY: Final = Look("none")


class Database(Protocol):
    def look(self) -> Look: ...

    def query(self, database: str, sql: str, seconds: float) -> list[dict[str, str]]: ...

    def stop(self, hard: bool) -> None:
        """End the postmaster: fast, or at once."""
        ...

    def came_by(self, since: float) -> str:
        """`rewound` or `copied` where that happened after `since` (seconds since the epoch); empty otherwise."""
        ...


class LocalPostgres:
    """`Database` over the socket and the data folder that the two containers of the pod share."""

    def __init__(
        self, socket_folder: str, data_folder: str, user: str, password: str, followers: tuple[str, ...]
    ):
        self._connect: Callable[[str, float], psycopg.Connection[Any]] = lambda database, seconds: _connected(
            socket_folder, user, password, database, seconds
        )
        self._data = Path(data_folder)
        self._followers = list(followers)
        self._open: psycopg.Connection[Any] | None = None

    def look(self) -> Look:
        import psycopg

        for attempt in (1, 2):
            try:
                if self._open is None:
                    self._open = self._connect("postgres", 2.0)
                return self._looked(self._open)
            except psycopg.Error:
                # The second attempt tells a connection that was ended from a server that takes none.
                self.close()
                if attempt == 2:
                    return NOBODY
        return NOBODY

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None

    def _looked(self, connection: psycopg.Connection[Any]) -> Look:
        row = connection.execute(_LOOK).fetchone()
        if row is None:
            return NOBODY
        followers: list[Follower] = []
        if not row["standby"]:
            for found in connection.execute(_FOLLOWERS, (self._followers,)).fetchall():
                followers.append(
                    Follower(
                        found["name"],
                        found["state"] == "streaming",
                        bool(found["synchronous"]),
                        int(found["lag_bytes"] or 0),
                        float(found["lag_seconds"]) if found["lag_bytes"] else 0.0,
                    )
                )
        return Look(
            "standby" if row["standby"] else "primary",
            str(row["names"]),
            float(row["clock"]),
            int(row["position"] or 0),
            int(row["replayed"] or 0),
            int(row["timeline"] or 0),
            bool(row["streaming"]),
            tuple(followers),
        )

    def query(self, database: str, sql: str, seconds: float) -> list[dict[str, str]]:
        """Raises psycopg.Error."""
        with contextlib.closing(self._connect(database, seconds)) as connection:
            cursor = connection.execute(sql.encode())
            if cursor.description is None:
                return []
            return [
                {name: "" if value is None else str(value) for name, value in row.items()}
                for row in cursor.fetchall()
            ]

    def stop(self, hard: bool) -> None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, signal.SIGQUIT if hard else signal.SIGINT)

    def came_by(self, since: float) -> str:
        for name in ("backup_label.old", "backup_label"):
            with contextlib.suppress(OSError):
                path = self._data / name
                if path.stat().st_mtime >= since:
                    return "rewound" if "BACKUP METHOD: pg_rewind" in path.read_text() else "copied"
        return ""


def _connected(
    folder: str, user: str, password: str, database: str, seconds: float
) -> psycopg.Connection[Any]:
    import psycopg
    from psycopg.rows import dict_row

    return psycopg.Connection[Any].connect(
        host=folder,
        user=user,
        password=password,
        dbname=database,
        connect_timeout=2,
        autocommit=True,
        application_name="guard",
        options=f"-c statement_timeout={int(seconds * 1000)}",
        row_factory=dict_row,
    )
