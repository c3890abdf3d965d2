"""Keeps a region's backups: makes the stanza, follows the schedule, does what is asked for. One step at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from vitalops.backup.archiver import Archiver
from vitalops.backup.commands import MISMATCH, BackRest, Failed
from vitalops.backup.metrics import Watched
from vitalops.backup.repository import MISSING
from vitalops.backup.requests import Inbox, Request, Result
from vitalops.backup.schedule import RETRY, Due, Rule, due
from vitalops.errors import RemoteError

ASK_REPOSITORY: Final = 20.0
"""Seconds between looks into the repository."""
CREATE_AGAIN: Final = 15.0
SEGMENT: Final = 16 << 20
NEAR_FULL: Final = 0.9


@dataclass(frozen=True, slots=True)
class Settings:
    rule: Rule
    queue_bytes: int
    """Of WAL that waits; beyond it pgBackRest lets go of it."""


def say(event: str, **more: object) -> None:
    """One JSON line."""
    print(json.dumps({"logger": "backup", "event": event, **more}), flush=True)


class Keeper:
    """`step` is called every few seconds. A backup runs in `start`, a thread but in tests; only one runs at a time."""

    def __init__(
        self,
        backrest: BackRest,
        observe: Callable[[], Archiver | None],
        inbox: Inbox,
        settings: Settings,
        now: Callable[[], float],
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._backrest = backrest
        self._observe = observe
        self._inbox = inbox
        self._settings = settings
        self._now = now
        self._start = start or _in_thread
        self.watched = Watched()
        self._ready = False
        self._asked = self._tried = self._failed_at = float("-inf")
        self._gap = False
        self._lock = threading.Lock()

    def step(self) -> None:
        """Look, and begin what is due. Raises nothing that pgBackRest or PostgreSQL may do."""
        archiver, now = self._observe(), self._now()
        self._tell(archiver=archiver)
        if archiver is None:
            return
        if not archiver.primary:
            self._ready, self._gap = False, False
            self._tell(repository=None, reachable=False, primary_since=0.0)
            return
        if not self.watched.primary_since:
            self._tell(primary_since=now)
        # What is dropped leaves no trace in PostgreSQL's own figures: they count it as archived.
        if archiver.waiting * SEGMENT >= self._settings.queue_bytes * NEAR_FULL:
            self._gap = True
        if not self._ready and not self._prepare(now):
            return
        if now - self._asked >= ASK_REPOSITORY:
            self._ask(now)
        self._begin(archiver, now)

    def _prepare(self, now: float) -> bool:
        if now - self._tried < CREATE_AGAIN:
            return False
        self._tried = now
        try:
            try:
                self._backrest.create()
            except Failed as error:
                if error.status != MISMATCH:
                    raise
                # The region's database was made anew: its backups go on beside those of the one before.
                self._backrest.upgrade()
                say(
                    "the repository is of an earlier database: its backups stay, and those of this one are added"
                )
        except RemoteError as error:
            self._problem(error)
            return False
        self._ready, self._asked = True, float("-inf")
        say("the repository is ready")
        return True

    def _ask(self, now: float) -> None:
        self._asked = now
        try:
            repository = self._backrest.info()
        except RemoteError as error:
            self._problem(error)
            return
        if repository.problem == MISSING:
            self._ready = False
        self._tell(repository=repository, reachable=not repository.problem, problem=repository.problem)

    def _begin(self, archiver: Archiver, now: float) -> None:
        repository = self.watched.repository
        if self.watched.running or repository is None or not self.watched.reachable:
            return
        asked = self._inbox.next()
        if asked is not None:
            self._run(asked.kind, asked.mark, "asked for", asked)
            return
        if now - self._failed_at < RETRY:
            return
        gap = self._gap and archiver.waiting <= 1
        found: Due | None = due(repository, self._settings.rule, archiver.timeline, gap, now)
        if found:
            self._run(found.kind.value, "", found.why, None)

    def _run(self, kind: str, mark: str, why: str, asked: Request | None) -> None:
        self._tell(running=True)
        say("a backup begins", kind=kind, why=why)

        def work() -> None:
            began, problem = self._now(), ""
            try:
                self._backrest.backup(kind, mark)
                self._gap = False
            except RemoteError as error:
                problem = error.message
                self._failed_at = self._now()
                self._tell(failures=self.watched.failures + 1)
            seconds = round(self._now() - began, 3)
            say("a backup ended", kind=kind, seconds=seconds, problem=problem)
            self._ask(self._now())
            if asked is not None:
                self._inbox.answer(Result(asked.mark, not problem, problem, seconds))
            self._tell(running=False)

        self._start(work)

    def _problem(self, error: RemoteError) -> None:
        if error.message != self.watched.problem:
            say("the repository cannot be used", problem=error.message)
        self._tell(problem=error.message, reachable=False)

    def _tell(self, **changes: object) -> None:
        with self._lock:
            self.watched = replace(self.watched, **changes)  # type: ignore[arg-type]


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="backup").start()
