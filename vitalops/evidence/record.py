"""What the journal holds, and the port to it with its in-memory fake.

Values are facts about operations: names, figures, outcomes. Patient data has no field to be in; what looks like it is
refused when a record is made (`vitalops.evidence.screening`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol


class RecordKind(StrEnum):
    """What happened. One operation's records share its id, from REQUESTED to FINISHED."""

    REQUESTED = "requested"
    PLANNED = "planned"
    STARTED = "started"
    STEP = "step"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    REFUSED = "refused"
    RESUMED = "resumed"
    UNDONE = "undone"
    FINISHED = "finished"
    HALTED = "halted"
    HALT_LIFTED = "halt-lifted"
    ALERT = "alert"
    INCIDENT = "incident"
    OBSERVED = "observed"
    """What a watcher saw, such as the loss of a region."""
    REHEARSED = "rehearsed"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened. `data` is JSON: inputs, outputs, SLO before and after, times in seconds."""

    kind: RecordKind
    operation: str
    """Id of the run, drill or incident that it belongs to."""
    name: str
    """What the operation is: the runbook's name, `halt`, an alert's name."""
    actor: str
    """Who did it: a person's name on this machine, or `alertmanager`, `witness`."""
    target: str = ""
    """Such as `pair/france`."""
    reason: str = ""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Entry:
    """A record with its place in the chain. `digest` covers everything here but itself, `previous` included."""

    number: int
    at: datetime
    record: Record
    previous: str
    digest: str


class Journal(Protocol):
    """Append-only. Safe to use from several processes at once."""

    def append(self, record: Record) -> Entry:
        """Write a record; it is on disk when this returns. Raises VitalopsError where it cannot be, or where the record
        holds what must not be kept."""
        ...

    def entries(self) -> Iterator[Entry]:
        """All of them, oldest first. Raises VitalopsError at the first that cannot be read."""
        ...


@dataclass(slots=True)
class MemoryJournal:
    """The in-memory fake: numbered, not chained."""

    kept: list[Entry] = field(default_factory=list[Entry])

    def append(self, record: Record) -> Entry:
        entry = Entry(len(self.kept) + 1, datetime.now(UTC), record, "", "")
        self.kept.append(entry)
        return entry

    def entries(self) -> Iterator[Entry]:
        return iter(tuple(self.kept))

    def kinds(self) -> list[RecordKind]:
        return [entry.record.kind for entry in self.kept]
