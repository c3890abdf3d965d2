"""When a message is tried, tried again, given up or no longer wanted.

queued -> sent
   |  \\-> queued (a failed attempt, later again)
   +----> failed (MAX_ATTEMPTS attempts) | void (superseded before it was sent)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

MAX_ATTEMPTS: Final = 8
FIRST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(minutes=10)
"""With eight attempts the last comes about four minutes after the first: long enough for a provider's hiccup, short
enough that an appointment's confirmation is not news from yesterday."""


class Status(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a message stands."""

    status: Status
    attempts: int
    due: datetime

    def sent(self) -> Delivery:
        return replace(self, status=Status.SENT, attempts=self.attempts + 1)

    def refused(self, now: datetime) -> Delivery:
        """After a failed attempt: queued for later, or failed when that was the last."""
        attempts = self.attempts + 1
        if attempts >= MAX_ATTEMPTS:
            return replace(self, status=Status.FAILED, attempts=attempts)
        return replace(self, attempts=attempts, due=now + pause(attempts))

    def given_up(self) -> Delivery:
        return replace(self, status=Status.FAILED, attempts=self.attempts + 1)

    def void(self) -> Delivery:
        return replace(self, status=Status.VOID) if self.status is Status.QUEUED else self


def pause(attempts: int) -> timedelta:
    """How long to wait after `attempts` failed attempts: doubling, up to LONGEST_PAUSE."""
    if attempts < 1:
        raise ValueError("there is no pause before the first attempt")
    return min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE)
