"""The engine of this machine: its book, journal and kill switch in the state folder, or in the team's PostgreSQL."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Final

from runbooks import registry
from runbooks.engine.book import Book
from runbooks.engine.boundaries import Hook, nowhere
from runbooks.engine.claims import Claims, FileClaims
from runbooks.engine.database import Database, SqliteDatabase
from runbooks.engine.engine import Engine
from runbooks.engine.execution import Surroundings
from runbooks.engine.memo import Body, Durability
from runbooks.engine.model import Runbook
from runbooks.engine.postgres import PostgresClaims, PostgresDatabase
from vitalops.errors import UsageError
from vitalops.evidence.files import FileJournal
from vitalops.halt import require_not_halted
from vitalops.paths import Paths
from vitalops.ports.running import RunningPlatform

DATABASE_VARIABLE: Final = "VITALOPS_OPERATIONS_DATABASE"


def database_url() -> str:
    """Of the team's PostgreSQL; empty where operations are this machine's own. Raises UsageError for another kind."""
    url = os.environ.get(DATABASE_VARIABLE, "")
    if url and not url.startswith(("postgresql://", "postgres://")):
        raise UsageError(f"{DATABASE_VARIABLE} is no PostgreSQL database", hint="postgresql://user@host/name")
    return url


def open_engine(
    running: RunningPlatform,
    paths: Paths,
    *,
    hook: Hook = nowhere,
    find: Callable[[str], Runbook[Any]] = registry.runbook,
) -> Engine:
    """Use it as a context manager. Cheap: durable execution starts with the first run."""
    name = running.platform.name
    folder = paths.operations(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = database_url()
    database: Database = PostgresDatabase(url) if url else SqliteDatabase(folder / "book.sqlite")
    claims: Claims = PostgresClaims(url) if url else FileClaims(folder / "locks")
    journal = FileJournal(paths.journal(name), clock=running.clock, secrets=running.secrets)
    around = Surroundings(running, Book(database), journal, lambda: require_not_halted(paths, name), hook)
    return Engine(around, Lazily(url or f"sqlite:///{folder / 'runs.sqlite'}"), claims, find)


class Lazily(Durability):
    """DBOS, imported with the first run: asking how runs stand must not pay for it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._body: Body | None = None
        self._durability: Durability | None = None
        self._loading = threading.Lock()

    def _loaded(self) -> Durability:
        with self._loading:
            if self._durability is None:
                from runbooks.engine.durable import DbosDurability

                durability = DbosDurability(self._url)
                if self._body is not None:
                    durability.attach(self._body)
                self._durability = durability
            return self._durability

    def attach(self, body: Body) -> None:
        self._body = body

    def launch(self) -> None:
        self._loaded().launch()

    def begin(self, run: str) -> None:
        self._loaded().begin(run)

    def go_on(self, run: str) -> None:
        self._loaded().go_on(run)

    def close(self) -> None:
        if self._durability is not None:
            self._durability.close()
