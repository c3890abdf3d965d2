"""A region's backups as operations use them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup in the repository. Times are UTC."""

    label: str
    kind: str
    """`full`, `diff` or `incr`."""
    started: datetime
    ended: datetime
    database_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class BackupState:
    """`archived` is the newest WAL segment in the repository; `encrypted` is what the repository itself says."""

    region: str
    backups: tuple[Backup, ...]
    oldest_wal: str
    archived: str
    encrypted: bool
    problem: str
    """Why there is no usable repository; empty where there is one."""


class RegionBackups(Protocol):
    """pgBackRest of one region's database. Every method raises RemoteError."""

    @property
    def region(self) -> str: ...

    def state(self) -> BackupState: ...

    def make(self, kind: str, timeout: float) -> Backup:
        """Make a backup now (`full`, `diff` or `incr`) and expire what the retention rule lets go."""
        ...
