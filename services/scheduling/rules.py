"""Slots and appointments: what may be published, booked and cancelled. Times are aware; intervals are [start, end)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

SHORTEST: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(hours=2)
HORIZON: Final = timedelta(days=366)
"""How far ahead slots may be published."""
BOOKABLE_AFTER_START: Final = timedelta(minutes=10)
"""A slot can still be booked this long after it began: a walk-in takes what is left of it."""
REMIND_BEFORE: Final = timedelta(hours=24)


class AppointmentStatus(StrEnum):
    BOOKED = "booked"
    CANCELLED = "cancelled"


class SchedulingRefused(Exception):
    """A slot or booking the rules do not allow. The message is fit for the caller."""


@dataclass(frozen=True, slots=True)
class Interval:
    starts_at: datetime
    ends_at: datetime

    def overlaps(self, other: Interval) -> bool:
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at


def check_slot(slot: Interval, now: datetime) -> None:
    """Raise SchedulingRefused when `slot` cannot be published."""
    length = slot.ends_at - slot.starts_at
    if not SHORTEST <= length <= LONGEST:
        raise SchedulingRefused(
            f"a slot lasts {SHORTEST.seconds // 60} to {LONGEST.seconds // 60} minutes; change ends_at"
        )
    if slot.ends_at <= now:
        raise SchedulingRefused("the slot is in the past; change starts_at")
    if slot.starts_at > now + HORIZON:
        raise SchedulingRefused(f"slots are published at most {HORIZON.days} days ahead; change starts_at")


def check_booking(slot: Interval, now: datetime) -> None:
    """Raise SchedulingRefused when `slot` is too late to be booked."""
    if now >= min(slot.ends_at, slot.starts_at + BOOKABLE_AFTER_START):
        raise SchedulingRefused("the slot has begun; choose a later one")


def check_cancellation(appointment: Interval, now: datetime) -> None:
    """Raise SchedulingRefused when the appointment is no longer there to cancel."""
    if now >= appointment.ends_at:
        raise SchedulingRefused("the appointment is over")


def reminder_due(appointment: Interval, now: datetime) -> datetime | None:
    """When to remind of `appointment`; None when it is booked so late that the confirmation serves."""
    due = appointment.starts_at - REMIND_BEFORE
    return due if due > now else None
