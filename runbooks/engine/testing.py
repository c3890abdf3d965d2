"""An engine that keeps everything in memory, for tests of runbooks and of what starts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runbooks import registry
from runbooks.engine.book import Book
from runbooks.engine.boundaries import Hook, nowhere
from runbooks.engine.claims import MemoryClaims
from runbooks.engine.database import SqliteDatabase
from runbooks.engine.engine import Engine
from runbooks.engine.execution import Surroundings
from runbooks.engine.memo import MemoryDurability
from runbooks.engine.model import Runbook
from vitalops.errors import UsageError
from vitalops.evidence.record import Journal, MemoryJournal
from vitalops.ports.running import RunningPlatform


def _nobody_halts() -> None:
    return


@dataclass(slots=True)
class Kept:
    """What outlives an engine, as disks do. Make a second engine with the same one to see what a crash leaves."""

    journal: Journal = field(default_factory=MemoryJournal)
    book: Book = field(default_factory=lambda: Book(SqliteDatabase(":memory:")))
    durability: MemoryDurability = field(default_factory=MemoryDurability)
    claims: MemoryClaims = field(default_factory=MemoryClaims)


def engine(
    running: RunningPlatform,
    kept: Kept | None = None,
    *,
    runbooks: Mapping[str, Runbook[Any]] | None = None,
    hook: Hook = nowhere,
    require_not_halted: Callable[[], None] = _nobody_halts,
) -> Engine:
    """Runs are carried out in the caller's thread. `runbooks` are used instead of the registered ones."""
    there = kept or Kept()
    there.claims.forget()

    def find(name: str) -> Runbook[Any]:
        if runbooks is None:
            return registry.runbook(name)
        if name not in runbooks:
            raise UsageError(f"there is no runbook {name!r}")
        return runbooks[name]

    around = Surroundings(running, there.book, there.journal, require_not_halted, hook)
    return Engine(around, there.durability, there.claims, find)
