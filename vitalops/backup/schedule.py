"""When a backup is due, and of which kind. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vitalops.backup.repository import Repository

DAY: Final = 86400.0
HOUR: Final = 3600.0
RETRY: Final = 120.0
"""Seconds after a backup that failed before the next is tried."""


class Kind(StrEnum):
    FULL = "full"
    DIFFERENTIAL = "diff"
    INCREMENTAL = "incr"


@dataclass(frozen=True, slots=True)
class Rule:
    full_days: float
    incremental_hours: float


@dataclass(frozen=True, slots=True)
class Due:
    kind: Kind
    why: str


def due(repository: Repository, rule: Rule, timeline: int, gap: bool, now: float) -> Due | None:
    """The backup that should be made now, or None.

    Besides by the clock, one is due where the chain of WAL behind the last backup does not reach the present: after
    the database went on on another timeline (a failover, or the restart of a single member: then what came before may
    be in the other region's repository), and after WAL was let go of because it could not be archived.
    """
    last = repository.last
    full = max((held.ended for held in repository.backups if held.kind == Kind.FULL), default=None)
    if last is None or full is None:
        return Due(Kind.FULL, "there is none yet")
    if now - full >= rule.full_days * DAY:
        return Due(Kind.FULL, f"the last full one is {(now - full) / DAY:.1f} days old")
    if gap:
        return Due(Kind.INCREMENTAL, "WAL was lost before it was archived")
    if last.last_wal and timeline_of(last.last_wal) != timeline:
        return Due(Kind.INCREMENTAL, f"the database has gone on on timeline {timeline}")
    if now - last.ended >= rule.incremental_hours * HOUR:
        return Due(Kind.INCREMENTAL, f"the last one is {(now - last.ended) / HOUR:.1f} hours old")
    return None


def timeline_of(segment: str) -> int:
    """Timeline of a WAL segment's name: its first eight hexadecimal digits."""
    return int(segment[:8], 16)
