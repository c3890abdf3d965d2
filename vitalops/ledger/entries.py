"""What the ledger holds. Times are seconds since the epoch, of this machine's clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    NOTE = "note"
    PRESCRIPTION = "prescription"


class Outcome(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    """Answered 2xx: it must be there for ever."""
    UNKNOWN = "unknown"
    """At least one attempt had no answer, and none was acknowledged: it may be there."""
    REFUSED = "refused"
    """Every attempt was answered, and none with 2xx. A 5xx may come after a commit, so it may be there too."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One numbered write and what became of it. Numbers rise by one for each subject and kind, from 1."""

    kind: Kind
    subject: str
    """Pseudonymous id of the synthetic patient."""
    number: int
    sent: float
    """First attempt."""
    ended: float
    """The answer that acknowledged it, or when it was given up."""
    outcome: Outcome
    id: str = ""
    """Of what was created, where it was acknowledged."""
    region: str = ""
    """Region that acknowledged it."""
    acknowledged_try: float = 0.0
    """When the attempt that was acknowledged was sent."""
    refused: int = 0
    """Attempts that were answered with a refusal."""
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """One numbered write as it is read back. `at` is the service's own time of it."""

    kind: Kind
    subject: str
    number: int
    id: str
    at: float


@dataclass(frozen=True, slots=True)
class Visit:
    """One short synthetic consultation, start to end."""

    started: float
    ended: float
    passed: bool
    failed_step: str = ""
    problem: str = ""


_CONTENT: Final = re.compile(r"synthetic ledger ([a-z0-9-]+) number ([1-9][0-9]*)\Z")


def content(ledger: str, number: int) -> str:
    """What is written: it says of itself that it is about nobody."""
    return f"synthetic ledger {ledger} number {number}"


def number_in(text: str, ledger: str) -> int | None:
    """The number of a write of this ledger; None for any other text."""
    match = _CONTENT.fullmatch(text)
    return int(match[2]) if match and match[1] == ledger else None
