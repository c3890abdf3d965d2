"""A region's backups as operations use them, and their in-memory fake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from vitalops.errors import RemoteError


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
    mark: str = ""
    """The run that asked for it; empty for those of the schedule."""


@dataclass(frozen=True, slots=True)
class Archiving:
    """How the WAL leaves the database."""

    waiting: int
    """Segments that are not archived yet."""
    behind_seconds: float
    """How long the oldest of them has been waiting; 0 where none is."""
    newest: str
    """The last segment that was archived."""
    wal_bytes: int
    """WAL on the database's disk."""


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
    archiving: Archiving | None = None
    """None where the region's database is not the primary."""

    @property
    def last(self) -> Backup | None:
        return max(self.backups, key=lambda backup: backup.ended, default=None)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a table holds, without a word of it: rows, and the sum of their hashes, whatever their order."""

    rows: int
    hashes: str


Fingerprints = dict[str, Fingerprint]
"""By `database.schema.table`."""


class TargetKind(StrEnum):
    NAME = "name"
    """Of a restore point."""
    TIME = "time"
    """ISO 8601, UTC."""


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """The moment to which a backup is restored; `moment` is a restore point's name or a time."""

    kind: TargetKind
    moment: str


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """A moment of the source at which nothing was being written, and what its tables held then."""

    name: str
    position: str
    """LSN."""
    at: datetime
    fingerprints: Fingerprints


class RestorePhase(StrEnum):
    ABSENT = "absent"
    STARTING = "starting"
    RESTORING = "restoring"
    """Files are copied from the repository."""
    RECOVERING = "recovering"
    """WAL is replayed."""
    READY = "ready"
    """At its target, read-only."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RestoreState:
    phase: RestorePhase
    label: str = ""
    """The backup that it began with."""
    bytes: int = 0
    copied_seconds: float = 0.0
    recovered_seconds: float = 0.0
    position: str = ""
    """LSN at which it stands."""
    moment: str = ""
    """Time of the last transaction that it holds, ISO 8601; empty where it replayed none."""
    problem: str = ""


class RegionBackups(Protocol):
    """pgBackRest of one region's database. Every method raises RemoteError."""

    @property
    def region(self) -> str: ...

    @property
    def holder(self) -> str:
        """The region in which the repository is."""
        ...

    def state(self) -> BackupState: ...

    def archiving(self) -> Archiving | None:
        """How the WAL leaves, by the database's own word: the repository is not asked. None where it is no primary."""
        ...

    def make(self, kind: str, timeout: float, mark: str = "") -> Backup:
        """Make a backup now (`full`, `diff` or `incr`) and expire what the retention rule lets go.

        With a `mark`, a backup that bears it already is given instead of another one.
        """
        ...

    def expire(self, timeout: float) -> int:
        """Let go of what the retention rule does not keep. Returns how many backups went."""
        ...

    def point(self, name: str, timeout: float) -> RestorePoint:
        """Mark the present moment, and wait until the WAL behind it is in the repository."""
        ...

    def begin_restore(self, run: str, target: RestoreTarget) -> str:
        """Begin to restore into a namespace of its own in the holder's region, or go on with it. Returns its name."""
        ...

    def restore_state(self, run: str) -> RestoreState: ...

    def restored(self, run: str, timeout: float) -> Fingerprints:
        """What the restored database holds."""
        ...

    def end_restore(self, run: str, timeout: float) -> None:
        """Remove the namespace with everything in it; nothing where there is none."""
        ...


@dataclass(slots=True)
class FakeBackups:
    """The in-memory fake: a database of rows by table, whose restore points are copies."""

    region: str
    holder: str = "elsewhere"
    kept: list[Backup] = field(default_factory=list[Backup])
    keep: int = 4
    """Backups that `expire` leaves."""
    tables: Fingerprints = field(default_factory=Fingerprints)
    points: dict[str, RestorePoint] = field(default_factory=dict[str, RestorePoint])
    restores: dict[str, RestoreTarget] = field(default_factory=dict[str, RestoreTarget])
    leaving: Archiving | None = field(default_factory=lambda: Archiving(0, 0.0, "", 16 << 20))
    problem: str = ""
    spoils: Callable[[Fingerprints], Fingerprints] | None = None
    """What a restore does to what it gives back."""
    restore_fails: str = ""
    now: Callable[[], datetime] = lambda: datetime(2026, 11, 23, tzinfo=UTC)
    made: int = 0
    """How many backups were made, for tests to count."""

    def state(self) -> BackupState:
        return BackupState(self.region, tuple(self.kept), "", "", True, self.problem, self.leaving)

    def archiving(self) -> Archiving | None:
        return self.leaving

    def make(self, kind: str, timeout: float, mark: str = "") -> Backup:
        del timeout
        if self.problem:
            raise RemoteError(f"region {self.region}: {self.problem}")
        for backup in self.kept:
            if mark and backup.mark == mark:
                return backup
        self.made += 1
        moment = self.now()
        backup = Backup(f"{moment:%Y%m%d-%H%M%S}{self.made}F", kind, moment, moment, 1000, 100, mark)
        self.kept.append(backup)
        return backup

    def expire(self, timeout: float) -> int:
        del timeout
        gone = max(len(self.kept) - self.keep, 0)
        del self.kept[:gone]
        return gone

    def point(self, name: str, timeout: float) -> RestorePoint:
        del timeout
        return self.points.setdefault(name, RestorePoint(name, "0/1", self.now(), dict(self.tables)))

    def begin_restore(self, run: str, target: RestoreTarget) -> str:
        self.restores.setdefault(run, target)
        return f"vitalops-restore-{run}"

    def restore_state(self, run: str) -> RestoreState:
        if run not in self.restores:
            return RestoreState(RestorePhase.ABSENT)
        if self.restore_fails:
            return RestoreState(RestorePhase.FAILED, problem=self.restore_fails)
        label = self.kept[-1].label if self.kept else ""
        return RestoreState(RestorePhase.READY, label, 1000, 1.0, 1.0, "0/1", self.now().isoformat())

    def restored(self, run: str, timeout: float) -> Fingerprints:
        del timeout
        target = self.restores[run]
        held = self.points[target.moment].fingerprints if target.moment in self.points else self.tables
        return self.spoils(dict(held)) if self.spoils else dict(held)

    def end_restore(self, run: str, timeout: float) -> None:
        del timeout
        self.restores.pop(run, None)

    def break_row(self, table: str) -> None:
        """One more row than there was."""
        old = self.tables[table]
        self.tables[table] = replace(old, rows=old.rows + 1, hashes=f"{old.hashes}x")
