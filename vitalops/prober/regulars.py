"""The prober's own patient and practitioner, and what is kept for them from one walk to the next.

They are the same people in every walk of a process, so that probing for a year does not fill the platform with
accounts: an account, a consent and a record are made once, and a slot is booked and let go of until its time is over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from vitalops.consultation.people import Person
from vitalops.consultation.state import Slot

SLOT: Final = timedelta(minutes=5)
"""The shortest that scheduling publishes."""
SLOT_RESERVE: Final = timedelta(seconds=60)
"""A slot that ends sooner is not booked any more: it must still be there to be let go of after the walk."""
TOTP_SECONDS: Final = 30
"""Time step of second factors (RFC 6238, section 5.2). A code is good for one sign-in."""
RENEWAL_SECONDS: Final = 1800.0
"""Accounts that do not get in are replaced, but not more often than this."""


@dataclass(frozen=True, slots=True)
class KnownSlot:
    """A published slot that nobody has booked between walks."""

    slot: Slot
    ends_at: datetime
    spent: bool = False
    """Whether somebody holds it: a walk that broke off and could not let go."""

    def serves(self, now: datetime) -> bool:
        """Whether a walk that begins now can book it and let go of it again."""
        return not self.spent and now + SLOT_RESERVE < self.ends_at


@dataclass(slots=True)
class Regulars:
    """Kept in memory alone: a new process makes new ones. Times are seconds since the epoch."""

    patient: Person | None = None
    practitioner: Person | None = None
    made_at: float = float("-inf")
    code_used: int = -1
    """Time step of the practitioner's last second factor."""
    consented: bool = False
    encounter: str = ""
    """Id of the encounter that notes are written in; empty until the record is open."""
    slot: KnownSlot | None = None

    def welcome(self, patient: Person, practitioner: Person, now: float) -> None:
        """Take in two new people, of whom nothing is known yet."""
        self.patient, self.practitioner, self.made_at = patient, practitioner, now
        self.code_used, self.consented, self.encounter, self.slot = -1, False, "", None

    def turn_away(self, now: float) -> bool:
        """Forget people who do not get in; False where they are so new that others would fare no better."""
        if now - self.made_at < RENEWAL_SECONDS:
            return False
        self.patient = self.practitioner = None
        return True

    def has_used_code_of(self, now: float) -> bool:
        """Whether the practitioner's code of this moment was used already, so that the last token must serve."""
        return int(now) // TOTP_SECONDS <= self.code_used

    def use_code_of(self, now: float) -> None:
        """Note that the code of this moment is spent, whether it let the practitioner in or not."""
        self.code_used = int(now) // TOTP_SECONDS

    def next_slot(self, now: datetime) -> tuple[datetime, datetime]:
        """Start and end of a slot to publish: from now, or from the end of the last, which it must not overlap."""
        start = now.replace(microsecond=0)
        if self.slot is not None:
            start = max(start, self.slot.ends_at)
        return start, start + SLOT

    def spend_slot(self) -> None:
        """Book another slot next time."""
        if self.slot is not None:
            self.slot = replace(self.slot, spent=True)
