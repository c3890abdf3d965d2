"""A ledger on disk: one JSON object a line, written as things happen, so that one of a killed writer can be checked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from vitalops.errors import UsageError
from vitalops.ledger.entries import Entry, Kind, Outcome, Visit

FOLDER: Final = "ledgers"
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?\Z")


class Book(Protocol):
    def wrote(self, entry: Entry) -> None: ...

    def visited(self, visit: Visit) -> None: ...


@dataclass(frozen=True, slots=True)
class Contents:
    """A whole ledger."""

    name: str
    pair: str
    entries: tuple[Entry, ...] = ()
    visits: tuple[Visit, ...] = ()


@dataclass(slots=True)
class MemoryBook:
    """The in-memory fake."""

    entries: list[Entry] = field(default_factory=list[Entry])
    visits: list[Visit] = field(default_factory=list[Visit])

    def wrote(self, entry: Entry) -> None:
        self.entries.append(entry)

    def visited(self, visit: Visit) -> None:
        self.visits.append(visit)


class FileBook:
    """Appends to the file of one ledger. One process at a time."""

    def __init__(self, folder: Path, name: str, pair: str) -> None:
        """Raises UsageError where there is such a ledger already."""
        self._path = ledger_file(folder, name)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._path.exists():
            raise UsageError(f"there is a ledger {name} already", hint="name another one")
        self._path.touch(mode=0o600)
        self._line({"ledger": name, "pair": pair})

    @property
    def path(self) -> Path:
        return self._path

    def wrote(self, entry: Entry) -> None:
        self._line({"write": asdict(entry)})

    def visited(self, visit: Visit) -> None:
        self._line({"visit": asdict(visit)})

    def _line(self, document: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(document, separators=(",", ":")) + "\n")


def ledger_file(folder: Path, name: str) -> Path:
    """Raises UsageError for what is no name."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a ledger", hint="lower-case letters, digits and -")
    return folder / f"{name}.jsonl"


def latest(folder: Path) -> str:
    """Name of the ledger that was begun last. Raises UsageError where there is none."""
    files = sorted(folder.glob("*.jsonl"), key=lambda file: file.stat().st_mtime)
    if not files:
        raise UsageError("there is no ledger yet", hint="vitalops ledger run")
    return files[-1].stem


def read(folder: Path, name: str) -> Contents:
    """Raises UsageError where there is none of that name, or it cannot be read. A last line that a killed writer left
    unfinished is passed over."""
    path = ledger_file(folder, name)
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        raise UsageError(f"there is no ledger {name}", hint="see: vitalops ledger list") from None
    documents = [_parsed(path, number, line) for number, line in enumerate(lines, 1) if line.endswith("\n")]
    head = documents[0] if documents else {}
    makers: dict[str, Callable[[Any], Entry | Visit]] = {"write": _entry, "visit": lambda body: Visit(**body)}
    made = [makers[key](body) for document in documents for key, body in document.items() if key in makers]
    return Contents(
        str(head.get("ledger", name)),
        str(head.get("pair", "")),
        tuple(each for each in made if isinstance(each, Entry)),
        tuple(each for each in made if isinstance(each, Visit)),
    )


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError as error:
        raise UsageError(f"{path}:{number} cannot be read: {error}") from None


def _entry(body: dict[str, Any]) -> Entry:
    values: dict[str, Any] = {**body, "kind": Kind(body["kind"]), "outcome": Outcome(body["outcome"])}
    return Entry(**values)
