"""Acknowledged against found. Pure.

Invariants, held by property tests: the same writes in any order of reading give the same comparison; what was
acknowledged is found or lost, never both and never neither; a platform that keeps everything once has no findings.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from vitalops.ledger.entries import Entry, Found, Kind, Outcome

_Key = tuple[Kind, str, int]


@dataclass(frozen=True, slots=True)
class Numbered:
    """One write, as a finding names it."""

    kind: Kind
    subject: str
    number: int


@dataclass(frozen=True, slots=True)
class SubjectCount:
    """One pseudonymous patient's part of it."""

    subject: str
    sent: int
    acknowledged: int
    found: int
    lost: int
    duplicated: int
    out_of_order: int


@dataclass(frozen=True, slots=True)
class Comparison:
    sent: int
    acknowledged: int
    unknown: int
    refused: int
    found: int
    """Distinct writes that were read back."""
    lost: tuple[Numbered, ...]
    """Acknowledged, and not found under the id that was acknowledged."""
    duplicated: tuple[Numbered, ...]
    """Found more than once."""
    out_of_order: tuple[Numbered, ...]
    """Acknowledged before a later one was sent, and dated after it by the service."""
    unsent: tuple[Numbered, ...]
    """Found, and never sent by this ledger."""
    found_anyway: tuple[Numbered, ...]
    """Not acknowledged, and there all the same: allowed, since nobody was told otherwise."""
    subjects: tuple[SubjectCount, ...]

    @property
    def holds(self) -> bool:
        """Whether everything that was acknowledged is there, once, in order."""
        return not (self.lost or self.duplicated or self.out_of_order or self.unsent)

    @property
    def summary(self) -> str:
        told = (
            f"{self.acknowledged} of {self.sent} writes acknowledged, {len(self.lost)} lost,"
            f" {len(self.duplicated)} duplicated, {len(self.out_of_order)} out of order"
        )
        extra = f"; {len(self.found_anyway)} of {self.unknown + self.refused} others are there too"
        foreign = f"; {len(self.unsent)} never sent" if self.unsent else ""
        return told + (extra if self.unknown + self.refused else "") + foreign


def compare(entries: Iterable[Entry], found: Iterable[Found], tolerance: float = 0.0) -> Comparison:
    """`tolerance` is how far the clocks of the regions may differ, in seconds: less than that is no disorder."""
    sent = {_key(entry): entry for entry in entries}
    there: dict[_Key, list[Found]] = defaultdict(list)
    for each in found:
        there[_key(each)].append(each)
    acknowledged = {key for key, entry in sent.items() if entry.outcome is Outcome.ACKNOWLEDGED}
    lost = {key for key in acknowledged if sent[key].id not in {each.id for each in there.get(key, ())}}
    duplicated = {key for key, copies in there.items() if len({each.id for each in copies}) > 1}
    disorder = _disorder(acknowledged - lost, there, tolerance)
    counts = Counter(entry.outcome for entry in sent.values())
    return Comparison(
        sent=len(sent),
        acknowledged=len(acknowledged),
        unknown=counts[Outcome.UNKNOWN],
        refused=counts[Outcome.REFUSED],
        found=len(there),
        lost=_named(lost),
        duplicated=_named(duplicated),
        out_of_order=_named(disorder),
        unsent=_named(there.keys() - sent.keys()),
        found_anyway=_named(there.keys() & (sent.keys() - acknowledged)),
        subjects=tuple(
            SubjectCount(
                subject,
                *(
                    sum(1 for key in keys if key[1] == subject)
                    for keys in (sent, acknowledged, there, lost, duplicated, disorder)
                ),
            )
            for subject in sorted({key[1] for key in (*sent, *there)})
        ),
    )


def _disorder(kept: set[_Key], there: dict[_Key, list[Found]], tolerance: float) -> set[_Key]:
    """Writes that the service dates after a later one. Each kind of a subject is written one after the other, so a
    write that was acknowledged came before every later one."""
    wrong: set[_Key] = set()
    latest: dict[tuple[Kind, str], tuple[float, _Key]] = {}
    for key in sorted(kept, key=lambda each: each[2]):
        at = min(each.at for each in there[key])
        line = (key[0], key[1])
        before = latest.get(line)
        if before is not None and at < before[0] - tolerance:
            wrong.add(before[1])
        if before is None or at > before[0]:
            latest[line] = (at, key)
    return wrong


def _key(each: Entry | Found) -> _Key:
    return each.kind, each.subject, each.number


def _named(keys: Iterable[_Key]) -> tuple[Numbered, ...]:
    return tuple(Numbered(*key) for key in sorted(keys, key=lambda key: (key[1], key[0], key[2])))
