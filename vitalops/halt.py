"""The kill switch: while it is on, no operation begins and none goes on to its next step.

It is a file in the operations folder of a platform, so that it works when everything else does not: no database, no
cluster, no running process is needed to pull it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from vitalops.errors import UsageError, VitalopsError
from vitalops.evidence.record import Journal, Record, RecordKind
from vitalops.evidence.screening import text_holds
from vitalops.paths import Paths
from vitalops.ports.clock import Clock

FILE: Final = "halt.json"
OPERATION: Final = "halt"


@dataclass(frozen=True, slots=True)
class Halt:
    """Who stopped everything, when and why."""

    actor: str
    at: datetime
    reason: str

    def __str__(self) -> str:
        when = f"{self.at:%Y-%m-%d %H:%M:%S} UTC"
        who = self.actor or "somebody"
        return f"everything is halted since {when}, by {who}: {self.reason or 'no reason can be read'}"


def halt_file(paths: Paths, platform: str) -> Path:
    return paths.operations(platform) / FILE


def halted(paths: Paths, platform: str) -> Halt | None:
    """The halt that is on, if any. A file that cannot be read halts too: better one too many than one too few."""
    return read(halt_file(paths, platform))


def read(file: Path) -> Halt | None:
    """As `halted`, of the file itself."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return Halt("", _modified(file), "")
    try:
        document: Any = json.loads(text)
        at = datetime.fromisoformat(document["at"])
        if at.tzinfo is None:
            raise ValueError("no time zone")
        return Halt(str(document["actor"]), at, str(document["reason"]))
    except (ValueError, KeyError, TypeError):
        return Halt("", _modified(file), "")


def require_not_halted(paths: Paths, platform: str) -> None:
    """Raises UsageError that says who halted everything, and why."""
    refuse_if(halted(paths, platform))


def refuse_if(halt: Halt | None) -> None:
    if halt is not None:
        raise UsageError(str(halt), hint="to go on: vitalops halt --lift --reason TEXT")


def begin(file: Path, journal: Journal, clock: Clock, actor: str, reason: str) -> tuple[Halt, str]:
    """Halt everything. Where it is halted already, that halt stays and is returned.

    The switch comes before its record: where the journal cannot be written everything is halted all the same, and the
    second value says what was wrong. A reason that the journal must not hold is left out of both: that is no time to
    look for words. Raises UsageError where no reason is given, VitalopsError where the switch itself cannot be set.
    """
    asked = Halt(actor, clock.now(), _fit(_reason(reason, "a halt")))
    if not _create(file, asked):
        there = read(file)
        # Lifted between the two: then it is for whoever asked to ask again.
        return (there or asked), ""
    return asked, _recorded(lambda: journal.append(_record(RecordKind.HALTED, actor, asked.reason)))


def lift(file: Path, journal: Journal, actor: str, reason: str) -> Halt | None:
    """Let everything go on; returns the halt that was on, None where there was none.

    The record comes first: what cannot be recorded is not lifted. Raises UsageError where no reason is given or where
    it holds what the journal must not keep, VitalopsError where it cannot be recorded.
    """
    why = _reason(reason, "lifting a halt")
    found = read(file)
    if found is None:
        return None
    data = {"halted_by": found.actor, "halted_at": found.at.isoformat(), "halted_because": found.reason}
    journal.append(_record(RecordKind.HALT_LIFTED, actor, why, data))
    try:
        file.unlink(missing_ok=True)
        _flush(file.parent)
    except OSError as error:
        raise VitalopsError(f"the halt cannot be lifted: {file}: {error.strerror or error}") from None
    return found


def _fit(reason: str) -> str:
    what = text_holds(reason)
    return f"(left out: it seemed to hold {what})" if what else reason


def _recorded(append: Callable[[], object]) -> str:
    try:
        append()
    except VitalopsError as error:
        return str(error)
    return ""


def _record(kind: RecordKind, actor: str, reason: str, data: dict[str, str] | None = None) -> Record:
    return Record(kind, OPERATION, OPERATION, actor, reason=reason, data=data or {})


def _reason(reason: str, of: str) -> str:
    text = " ".join(reason.split())
    if not text:
        raise UsageError(f"{of} needs a reason", hint="add --reason TEXT")
    return text


def _create(file: Path, halt: Halt) -> bool:
    """Whether the file was made; it appears whole and on disk, or not at all."""
    body = {"actor": halt.actor, "at": halt.at.isoformat(), "reason": halt.reason}
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, written = tempfile.mkstemp(prefix=".new-halt-", dir=file.parent)
        temporary = Path(written)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                json.dump(body, out)
                out.flush()
                os.fsync(out.fileno())
            try:
                os.link(temporary, file)
            except FileExistsError:
                return False
            _flush(file.parent)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        raise VitalopsError(f"cannot halt: {file}: {error.strerror or error}") from None
    return True


def _modified(file: Path) -> datetime:
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except OSError:
        return datetime.fromtimestamp(0, UTC)


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
