"""What people on call see and decide, apart from how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from runbooks.engine.port import Operations
from runbooks.engine.runs import Run, RunState
from runbooks.serve.incidents import Incident
from runbooks.serve.store import IncidentStore
from vitalops import halt as kill_switch
from vitalops.errors import UsageError, VitalopsError
from vitalops.evidence.files import FileJournal
from vitalops.evidence.record import Entry
from vitalops.halt import Halt
from vitalops.ports.clock import Clock

T = TypeVar("T")
ENDED_SHOWN: Final = 5
INCIDENTS_SHOWN: Final = 30
TIMELINE_SHOWN: Final = 40
RECORDS_SHOWN: Final = 500


@dataclass(frozen=True, slots=True)
class View:
    """The first page. `problems` are what could not be looked at, each in a line."""

    now: datetime
    platform: str
    halt: Halt | None
    waiting: Sequence[Run]
    running: Sequence[Run]
    """Also those that may go on and are carried out by nobody."""
    ended: Sequence[Run]
    incidents: Sequence[Incident]
    """Open ones, latest first; `counts` says of how many."""
    counts: Mapping[str, int]
    heard: Mapping[str, float]
    timeline: Sequence[Entry]
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class OperationView:
    """The page of one run or incident: what is known of it, and its records in the journal."""

    id: str
    run: Run | None
    incident: Incident | None
    records: Sequence[Entry]
    problems: Sequence[str]


class Desk:
    """Safe to use from several threads. Looking raises nothing: what cannot be seen is said."""

    def __init__(
        self,
        platform: str,
        store: IncidentStore,
        operations: Operations,
        journal: FileJournal,
        halt_file: Path,
        clock: Clock,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`wake` is called when something that was held back may go on."""
        self._platform, self._store, self._operations = platform, store, operations
        self._journal, self._halt_file, self._clock, self._wake = journal, halt_file, clock, wake

    def look(self) -> View:
        problems: list[str] = []
        open_runs = _tried(lambda: self._operations.runs(open_only=True), (), problems)
        latest = _tried(lambda: self._operations.runs(limit=50), (), problems)
        waiting = tuple(run for run in open_runs if run.state is RunState.WAITING)
        return View(
            self._clock.now(),
            self._platform,
            self.halted(),
            waiting,
            tuple(run for run in open_runs if run.state is not RunState.WAITING),
            tuple(run for run in latest if run.is_over)[:ENDED_SHOWN],
            _tried(lambda: self._store.latest(INCIDENTS_SHOWN, open_only=True), [], problems),
            _tried(self._store.counts, {}, problems),
            _tried(self._store.heard, {}, problems),
            _tried(lambda: self._journal.latest(TIMELINE_SHOWN), [], problems),
            tuple(dict.fromkeys(problems)),
        )

    def operation(self, name: str) -> OperationView | None:
        """None where nothing is known of it."""
        problems: list[str] = []
        incident = _tried(lambda: self._store.incident(name), None, problems)
        try:
            run = self._operations.run(name)
        except UsageError:
            run = None
        except VitalopsError as error:
            run = None
            problems.append(str(error))
        records = _tried(lambda: self._records(name), [], problems)
        if run is None and incident is None and not records:
            return None
        return OperationView(name, run, incident, records, tuple(problems))

    def now(self) -> datetime:
        return self._clock.now()

    def halted(self) -> Halt | None:
        return kill_switch.read(self._halt_file)

    def approve(self, run: str, actor: str, reason: str) -> None:
        """Agree, and carry it out. Raises UsageError where that is refused."""
        kill_switch.refuse_if(self.halted())
        self._operations.approve(run, actor=actor, reason=reason)
        self._operations.resume(run, actor=actor, block=False)

    def reject(self, run: str, actor: str, reason: str) -> None:
        """Refuse a waiting run; give up an interrupted one. Raises UsageError, also where no reason is given."""
        if not reason:
            raise UsageError("to reject needs a reason")
        self._operations.reject(run, actor=actor, reason=reason)

    def resume(self, run: str, actor: str) -> None:
        kill_switch.refuse_if(self.halted())
        self._operations.resume(run, actor=actor, block=False)

    def halt(self, actor: str, reason: str) -> str:
        """Returns what was wrong with recording it; empty where nothing."""
        _, unrecorded = kill_switch.begin(self._halt_file, self._journal, self._clock, actor, reason)
        return unrecorded

    def lift(self, actor: str, reason: str) -> None:
        kill_switch.lift(self._halt_file, self._journal, actor, reason)
        self._wake()

    def _records(self, operation: str) -> list[Entry]:
        found = [entry for entry in self._journal.entries() if entry.record.operation == operation]
        return found[-RECORDS_SHOWN:]


def _tried(look: Callable[[], T], otherwise: T, problems: list[str]) -> T:
    try:
        return look()
    except VitalopsError as error:
        problems.append(str(error))
        return otherwise
