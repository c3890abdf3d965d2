"""What PostgreSQL itself says of archiving, and of who it is. The one module that imports psycopg here, when asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_STATE: Final = """
SELECT pg_is_in_recovery(),
       CASE WHEN pg_is_in_recovery() THEN 0
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
       coalesce(archived_count, 0), coalesce(failed_count, 0),
       coalesce(extract(epoch FROM last_archived_time), 0)::float8,
       coalesce(last_archived_wal, ''),
       (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
       (SELECT coalesce(min(extract(epoch FROM modification)), 0)::float8
          FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
       (SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir())
  FROM pg_stat_archiver
"""


@dataclass(frozen=True, slots=True)
class Archiver:
    """Times are seconds since the epoch, 0 where there was none."""

    primary: bool
    timeline: int
    """0 on a standby."""
    archived: int
    failed: int
    last: float
    last_wal: str
    waiting: int
    """Segments that wait to be archived."""
    waiting_since: float
    wal_bytes: int
    """Of all segments on disk."""


def connect(database: str = "postgres", **options: Any) -> Any:
    """A connection by the environment's PGHOST, PGUSER and PGPASSWORD. Raises psycopg.Error."""
    import psycopg

    return psycopg.connect(dbname=database, connect_timeout=3, application_name="backup", **options)


def observe() -> Archiver | None:
    """None where PostgreSQL does not answer."""
    import psycopg

    try:
        with connect(autocommit=True) as connection:
            row = connection.execute(_STATE).fetchone()
    except psycopg.Error:
        return None
    recovering, timeline, archived, failed, last, last_wal, waiting, since, size = row
    return Archiver(
        primary=not recovering,
        timeline=int(timeline),
        archived=int(archived),
        failed=int(failed),
        last=float(last),
        last_wal=str(last_wal),
        waiting=int(waiting),
        waiting_since=float(since),
        wal_bytes=int(size),
    )
