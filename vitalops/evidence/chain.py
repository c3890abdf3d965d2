"""The hash chain of a journal: how an entry is written as a line, and what is wrong with lines that were changed.

The canonical form of an entry is JSON in ASCII (other characters as \\uXXXX in lower case), keys sorted, no white
space, numbers as Python's `repr` writes them, neither NaN nor infinities. `digest` is the SHA-256, in hexadecimal, of
the canonical form of everything else; `previous` is the digest of the entry before, 64 zeros in the first. A line of
the journal is the canonical form with the digest, and a line feed: a line that says the same in other bytes is a
changed one.

A chain says that nothing in the middle was changed. That nothing was taken off its end, or that the whole was not
written anew, is said by a digest that is kept elsewhere: see `Anchor`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, cast

from vitalops.evidence.record import Entry, Record, RecordKind

GENESIS: Final = "0" * 64
CLOCK_TOLERANCE: Final = timedelta(seconds=2)
"""A clock may be set back by so much between two entries: time servers do."""
MOST_FAULTS: Final = 1000
"""A file that is no journal is not described line by line."""
_FIELDS: Final = frozenset(
    ("number", "at", "kind", "operation", "name", "actor", "target", "reason", "data", "previous", "digest")
)


class FaultKind(StrEnum):
    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"
    TORN = "torn"
    """The last line does not end: an append was cut off. The next append repairs it and says so."""
    CLOCK = "clock backwards"
    HEAD = "head"
    """What is kept of the journal's end elsewhere cannot be read, or is not there."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong. `number` is the entry's (as it should be, where it cannot be read), `line` counts from 1."""

    number: int
    line: int
    kind: FaultKind
    detail: str

    def __str__(self) -> str:
        where = f"entry {self.number}" + (f" (line {self.line})" if self.line else "")
        return f"{where}: {self.kind.value}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Anchor:
    """What was the journal's end at some time. Whoever keeps one elsewhere can tell that no entry up to it was lost,
    changed or written anew."""

    number: int
    digest: str

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"

    @staticmethod
    def parse(text: str) -> Anchor:
        """From NUMBER:DIGEST. Raises ValueError."""
        number, _, digest = text.strip().partition(":")
        if (
            not (number.isascii() and number.isdigit())
            or len(digest) != 64
            or set(digest) - set("0123456789abcdef")
        ):
            raise ValueError("not NUMBER:DIGEST")
        return Anchor(int(number), digest)


START: Final = Anchor(0, GENESIS)
Counted = Callable[[int], None]


def uncounted(_: int) -> None:
    """Progress that nobody looks at."""


def canonical(value: object) -> str:
    """Raises TypeError or ValueError for what JSON does not have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def seal(number: int, at: datetime, record: Record, previous: str) -> Entry:
    """The entry of a record at its place in the chain. Raises TypeError or ValueError where its data is not JSON."""
    # Through JSON once, so that tuples and enums are what a reader will find.
    plain: dict[str, Any] = json.loads(canonical(dict(record.data)))
    kept = Record(
        record.kind, record.operation, record.name, record.actor, record.target, record.reason, plain
    )
    moment = at.astimezone(UTC)
    return Entry(number, moment, kept, previous, digest(_body(number, moment, kept, previous)))


def digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(body).encode("ascii")).hexdigest()


def line_of(entry: Entry) -> bytes:
    body = _body(entry.number, entry.at, entry.record, entry.previous)
    return canonical({**body, "digest": entry.digest}).encode("ascii") + b"\n"


def read_line(line: bytes) -> Entry:
    """The entry that a line says, its digest not judged. Raises ValueError where it is none."""
    document: Any = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError("not an object")
    fields = cast(dict[str, Any], document)
    if fields.keys() != _FIELDS:
        raise ValueError("not the fields of an entry")
    number, data = fields["number"], fields["data"]
    texts = {name: fields[name] for name in _FIELDS - {"number", "data"}}
    if type(number) is not int or not isinstance(data, dict):
        raise ValueError("fields of other types")
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("fields of other types")
    record = Record(
        RecordKind(texts["kind"]),
        texts["operation"],
        texts["name"],
        texts["actor"],
        texts["target"],
        texts["reason"],
        cast(dict[str, Any], data),
    )
    return Entry(number, datetime.fromisoformat(texts["at"]), record, texts["previous"], texts["digest"])


def is_whole(entry: Entry, line: bytes) -> bool:
    """Whether the line is the entry's canonical form and its digest the entry's."""
    body = _body(entry.number, entry.at, entry.record, entry.previous)
    try:
        return entry.at.tzinfo is not None and digest(body) == entry.digest and line_of(entry) == line
    except ValueError:
        # NaN and infinities, which Python reads and JSON does not have.
        return False


def _body(number: int, at: datetime, record: Record, previous: str) -> dict[str, Any]:
    return {
        "number": number,
        "at": at.isoformat(),
        "kind": record.kind.value,
        "operation": record.operation,
        "name": record.name,
        "actor": record.actor,
        "target": record.target,
        "reason": record.reason,
        "data": record.data,
        "previous": previous,
    }


@dataclass(slots=True)
class _Walk:
    """State of one verification. `gaps` are ranges of numbers that have not been seen though a later one has."""

    faults: list[Fault] = field(default_factory=list[Fault])
    gaps: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    """First and last number, and the line before which they should be."""
    line: int = 0
    expected: int = 1
    previous: str | None = GENESIS
    latest: datetime | None = None

    def note(self, number: int, kind: FaultKind, detail: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(number, self.line, kind, detail))

    def take(self, line: bytes) -> Entry | None:
        self.line += 1
        try:
            entry = read_line(line)
        except (ValueError, RecursionError):
            self.note(self.expected, FaultKind.CHANGED, "it cannot be read")
            self._after(self.expected, None)
            return None
        if not is_whole(entry, line):
            self.note(entry.number, FaultKind.CHANGED, "it is not what its digest was made of")
        if entry.number < self.expected:
            self._out_of_order(entry.number)
            return entry
        if entry.number > self.expected:
            self.gaps.append((self.expected, entry.number - 1, self.line))
        elif self.previous is not None and entry.previous != self.previous:
            self.note(
                entry.number,
                FaultKind.CHANGED,
                "it does not follow the entry before: one of them was replaced",
            )
        self._date(entry)
        self._after(entry.number, entry.digest)
        return entry

    def _after(self, number: int, found: str | None) -> None:
        self.expected, self.previous = number + 1, found

    def _date(self, entry: Entry) -> None:
        at = entry.at if entry.at.tzinfo is not None else entry.at.replace(tzinfo=UTC)
        if self.latest is not None and at < self.latest - CLOCK_TOLERANCE:
            back = (self.latest - at).total_seconds()
            self.note(
                entry.number, FaultKind.CLOCK, f"its clock was {back:.0f} s behind that of an earlier entry"
            )
        self.latest = at if self.latest is None else max(at, self.latest)

    def _out_of_order(self, number: int) -> None:
        for index, (first, last, line) in enumerate(self.gaps):
            if first <= number <= last:
                rest = ((first, number - 1, line), (number + 1, last, line))
                self.gaps[index : index + 1] = [gap for gap in rest if gap[0] <= gap[1]]
                self.note(number, FaultKind.REORDERED, "it stands after later entries")
                return
        self.note(number, FaultKind.REORDERED, "there is another entry of that number before it")

    def end(self) -> list[Fault]:
        for first, last, line in self.gaps:
            self.faults.append(Fault(first, line, FaultKind.MISSING, _range(first, last)))
        return sorted(self.faults, key=lambda fault: (fault.line == 0, fault.line, fault.number))


def _range(first: int, last: int) -> str:
    return "it is not there" if first == last else f"entries {first} to {last} are not there"


def verify(
    lines: Iterable[bytes],
    anchors: Iterable[Anchor] = (),
    each: Counted = uncounted,
) -> tuple[int, list[Fault]]:
    """How many lines there are, and everything wrong with them, in order; no more than MOST_FAULTS or so.

    `lines` end in a line feed each, as a file yields them. `each` is called with the count after every line.
    """
    walk = _Walk()
    unseen: dict[int, set[str]] = {}
    for anchor in anchors:
        if anchor.number:
            unseen.setdefault(anchor.number, set()).add(anchor.digest)
    for line in lines:
        if not line.endswith(b"\n"):
            walk.line += 1
            walk.note(walk.expected, FaultKind.TORN, f"the last line ends after {len(line)} bytes")
            break
        entry = walk.take(line)
        each(walk.line)
        if entry is not None and unseen.pop(entry.number, {entry.digest}) != {entry.digest}:
            walk.note(entry.number, FaultKind.CHANGED, "it is not the entry whose digest was kept")
    faults = walk.end()
    for number in sorted(unseen):
        if number >= walk.expected:
            gone = _range(walk.expected, number)
            faults.append(Fault(walk.expected, 0, FaultKind.MISSING, f"{gone}: the end was cut off"))
    return walk.line, faults
