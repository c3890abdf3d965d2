"""What happens in a run is put into the journal and the book: each turn once, in order, before the next act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runbooks.engine.book import Book
from runbooks.engine.machine import Event, Happened
from runbooks.engine.runs import Run
from vitalops.errors import VitalopsError
from vitalops.evidence.record import Journal, Record, RecordKind


class Unrecorded(Exception):
    """Nothing can be put into the journal: its disk is full, or it cannot be read."""


class Recorder:
    """Of one run in one process. `resumed`: another process may have recorded some of it already."""

    def __init__(self, journal: Journal, book: Book, run: Run, actor: str, resumed: bool) -> None:
        self._journal = journal
        self._book = book
        self._run = run
        self._actor = actor
        self._known: set[int] | None = None if resumed else set()

    def has(self, turn: int) -> bool:
        if self._known is None:
            self._known = {
                int(entry.record.data["turn"])
                for entry in self._journal.entries()
                if entry.record.operation == self._run.id and "turn" in entry.record.data
            }
        return turn in self._known

    def event(self, turn: int, event: Event, next_step: str, outputs: Mapping[str, Any]) -> None:
        """Raises Unrecorded."""
        kind, data = _kept(event)
        if event.what is Happened.BEGUN:
            data["approved_by"] = self._run.decided_by
        self.append(kind, {"turn": turn, **data})
        self._book.change(
            self._run.id,
            lambda run: replace(run, step=next_step or event.step, detail=event.detail, outputs=outputs),
        )

    def append(self, kind: RecordKind, data: Mapping[str, Any]) -> None:
        """Raises Unrecorded."""
        run = self._run
        record = Record(kind, run.id, run.runbook, self._actor, " ".join(run.targets), run.reason, data)
        try:
            self._journal.append(record)
        except VitalopsError as error:
            # What must not be kept is left out rather than kept; that something happened is kept all the same.
            spare = {name: data[name] for name in ("turn", "what", "step", "outcome") if name in data}
            try:
                self._journal.append(replace(record, data={**spare, "withheld": error.message}))
            except VitalopsError as worse:
                raise Unrecorded(f"nothing can be recorded: {worse.message}") from None


def _kept(event: Event) -> tuple[RecordKind, dict[str, Any]]:
    """How an event stands in the journal."""
    data: dict[str, Any] = {"what": event.what.value, **event.data}
    if event.step:
        data["step"] = event.step
    if event.detail:
        data["detail"] = event.detail
    match event.what:
        case Happened.BEGUN:
            return RecordKind.STARTED, data
        case Happened.RESUMED:
            return RecordKind.RESUMED, data
        case Happened.GIVEN_UP:
            return RecordKind.REJECTED, data
        case Happened.UNDONE | Happened.LASTS | Happened.UNDO_FAILED:
            return RecordKind.UNDONE, data
        case _:
            return RecordKind.STEP, data
