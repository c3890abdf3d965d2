"""Puts into the journal what the store has to say: each record once, whatever is interrupted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol, cast

from runbooks.serve.store import IncidentStore, Unsaid
from vitalops.errors import UsageError
from vitalops.evidence.record import Entry, Journal, Record
from vitalops.evidence.screening import suspicions, text_holds

BATCH: Final = 500
LEFT_OUT: Final = "(left out)"


class BatchJournal(Journal, Protocol):
    """A journal to which several records can be appended at the price of one."""

    def extend(self, records: Sequence[Record]) -> list[Entry]: ...


class Recording:
    """Implemented on an outbox. Between writing a batch and forgetting it a crash may come: then the journal is asked
    what it has already."""

    def __init__(self, store: IncidentStore, journal: BatchJournal) -> None:
        self._store, self._journal = store, journal
        self._sure = False

    def record(self) -> bool:
        """Write a batch; whether there may be more. Raises VitalopsError where store or journal fail."""
        batch = self._store.unsaid(BATCH)
        if not batch:
            self._sure = True
            return False
        there: set[tuple[str, str]] = set() if self._sure else _events(self._journal.entries())
        self._sure = False
        new = [each for each in batch if (each.record.operation, each.event) not in there]
        self._append(new)
        self._store.said([each.number for each in batch])
        self._sure = True
        return len(batch) == BATCH

    def _append(self, batch: Sequence[Unsaid]) -> None:
        records = [each.record for each in batch]
        try:
            self._journal.extend(records)
        except UsageError:
            # Nothing is written yet. One of them holds what must not be kept.
            for record in records:
                self._append_one(record)

    def _append_one(self, record: Record) -> None:
        for form in (record, fit(record)):
            try:
                self._journal.append(form)
            except UsageError:
                continue
            return
        self._journal.append(_bare(record))


def fit(record: Record) -> Record:
    """The record without values that the journal would refuse: labels must not keep an incident out of it."""
    data = dict(record.data)
    if "labels" in data:
        labels = cast(Mapping[str, str], data["labels"])
        data["labels"] = {
            name: LEFT_OUT if text_holds(value) else value
            for name, value in labels.items()
            if not any(suspicions({name: ""}))
        }
    texts = {
        name: LEFT_OUT if text_holds(value) else value
        for name, value in (("name", record.name), ("target", record.target), ("reason", record.reason))
    }
    return replace(record, data=data, **texts)


def _bare(record: Record) -> Record:
    event = record.data.get("event", "")
    return replace(record, name=LEFT_OUT, target="", reason=LEFT_OUT, data={"event": event})


def _events(entries: Iterable[Entry]) -> set[tuple[str, str]]:
    return {(entry.record.operation, str(entry.record.data.get("event", ""))) for entry in entries}
