"""What `pgbackrest info --output=json` says of one stanza. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MISSING: Final = "there is no stanza yet"
MARK: Final = "mark"
"""Annotation of a backup: the run that asked for it."""


@dataclass(frozen=True, slots=True)
class Held:
    """One backup. Times are seconds since the epoch; sizes are bytes."""

    label: str
    kind: str
    started: float
    ended: float
    database_bytes: int
    stored_bytes: int
    """What it added to the repository, compressed and encrypted."""
    first_wal: str
    last_wal: str
    broken: bool
    """Whether pages failed their checksums."""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Repository:
    """A stanza. `oldest` and `newest` are WAL segments; empty where none is archived."""

    backups: tuple[Held, ...] = ()
    oldest: str = ""
    newest: str = ""
    cipher: str = ""
    problem: str = ""
    """Why it cannot be used; empty where it can."""
    systems: tuple[int, ...] = field(default=())
    """System identifiers of the databases that it has held, the present one last."""

    @property
    def last(self) -> Held | None:
        return max(self.backups, key=lambda held: held.ended, default=None)


def parse(text: str, stanza: str) -> Repository:
    """Raises ValueError for what is not an answer of pgBackRest."""
    document = json.loads(text)
    found = next((entry for entry in document if entry.get("name") == stanza), None)
    if found is None:
        return Repository(problem=MISSING)
    status: Mapping[str, Any] = found.get("status", {})
    # 0: ok; 2: no valid backups, which is where every repository begins.
    problem = "" if status.get("code") in (0, 2) else str(status.get("message", "no reason given"))
    if status.get("code") == 1:
        problem = MISSING
    archives = found.get("archive", [])
    newest: Mapping[str, Any] = archives[-1] if archives else {}
    return Repository(
        backups=tuple(_held(entry) for entry in found.get("backup", [])),
        oldest=str(newest.get("min") or ""),
        newest=str(newest.get("max") or ""),
        cipher=str(found.get("cipher", "")),
        problem=problem,
        systems=tuple(int(entry["system-id"]) for entry in found.get("db", [])),
    )


def _held(entry: Mapping[str, Any]) -> Held:
    wal: Mapping[str, Any] = entry.get("archive") or {}
    notes: Mapping[str, Any] = entry.get("annotation") or {}
    return Held(
        label=str(entry["label"]),
        kind=str(entry["type"]),
        started=float(entry["timestamp"]["start"]),
        ended=float(entry["timestamp"]["stop"]),
        database_bytes=int(entry["info"]["size"]),
        stored_bytes=int(entry["info"]["repository"].get("delta", 0)),
        first_wal=str(wal.get("start") or ""),
        last_wal=str(wal.get("stop") or ""),
        broken=bool(entry.get("error")),
        mark=str(notes.get(MARK, "")),
    )
