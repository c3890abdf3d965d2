"""The rules for publishing, booking and cancelling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduling.rules import (
    Interval,
    SchedulingRefused,
    check_booking,
    check_cancellation,
    check_slot,
    reminder_due,
)

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def slot(start: float, length: float = 20) -> Interval:
    """A slot `start` minutes from now, `length` minutes long."""
    begins = NOW + timedelta(minutes=start)
    return Interval(begins, begins + timedelta(minutes=length))


minutes = st.integers(-100, 100)
lengths = st.integers(5, 60)


@given(minutes, lengths, minutes, lengths)
def test_slots_overlap_when_they_share_a_moment(a: int, long: int, b: int, wide: int) -> None:
    one, other = slot(a, long), slot(b, wide)
    shared = set(range(a, a + long)) & set(range(b, b + wide))
    assert one.overlaps(other) == other.overlaps(one) == bool(shared)


@pytest.mark.parametrize(
    "bad", [slot(10, 4), slot(10, 121), slot(10, -20), slot(-60, 30), slot(60 * 24 * 367)]
)
def test_an_impossible_slot_is_refused(bad: Interval) -> None:
    with pytest.raises(SchedulingRefused):
        check_slot(bad, NOW)


def test_a_slot_may_have_begun_when_published() -> None:
    check_slot(slot(-5, 30), NOW)


@pytest.mark.parametrize(
    ("start", "length", "allowed"), [(5, 20, True), (-5, 20, True), (-11, 20, False), (-6, 6, False)]
)
def test_booking_ends_soon_after_the_slot_begins(start: int, length: int, allowed: bool) -> None:
    if allowed:
        check_booking(slot(start, length), NOW)
    else:
        with pytest.raises(SchedulingRefused):
            check_booking(slot(start, length), NOW)


def test_an_appointment_is_cancelled_before_it_is_over() -> None:
    check_cancellation(slot(-5), NOW)
    with pytest.raises(SchedulingRefused, match="over"):
        check_cancellation(slot(-30), NOW)


def test_a_late_booking_needs_no_reminder() -> None:
    assert reminder_due(slot(30), NOW) is None
    later = slot(60 * 48)
    assert reminder_due(later, NOW) == later.starts_at - timedelta(hours=24)
