"""When each runbook was last proven to work, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from runbooks.engine.runs import Run, RunState
from vitalops.errors import UsageError
from vitalops.evidence.chain import read_line
from vitalops.evidence.record import Record, RecordKind


@dataclass(frozen=True, slots=True)
class Proof:
    """A rehearsal that went well. `seconds` is the time to repair that it measured."""

    runbook: str
    run: str
    at: datetime
    seconds: float

    def stale(self, now: datetime, max_age_days: int) -> bool:
        return now - self.at > timedelta(days=max_age_days)


def proofs(lines: Iterable[bytes]) -> dict[str, Proof]:
    """The latest proof of each runbook, from the journal's lines. Other records are not even parsed."""
    marker = f'"{RecordKind.REHEARSED.value}"'.encode()
    found: dict[str, Proof] = {}
    for line in lines:
        if marker not in line:
            continue
        try:
            entry = read_line(line)
            record = entry.record
            if record.kind is RecordKind.REHEARSED:
                seconds = float(record.data["seconds"])
                found[record.name] = Proof(record.name, record.operation, entry.at, seconds)
        except (ValueError, KeyError, TypeError, RecursionError):
            # `vitalops evidence verify` says what is wrong with the journal; nothing is proven by such a line.
            continue
    return found


def rehearsal(runbook: str, run: Run, seconds: float, actor: str) -> Record:
    """The record of a rehearsal. Raises UsageError where the run proves nothing."""
    if run.runbook != runbook:
        raise UsageError(f"run {run.id} is one of {run.runbook}, not of {runbook}")
    if run.state is not RunState.SUCCEEDED:
        raise UsageError(f"run {run.id} proves nothing: it is {run.state.value}")
    if not 0 <= seconds <= 86_400:
        raise UsageError(f"--seconds {seconds:g} is no time to repair", hint="from 0 to 86400")
    return Record(
        RecordKind.REHEARSED, run.id, runbook, actor, " ".join(run.targets), data={"seconds": seconds}
    )
