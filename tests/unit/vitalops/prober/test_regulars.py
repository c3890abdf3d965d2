from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vitalops.consultation.people import Person
from vitalops.consultation.signin import Account
from vitalops.consultation.state import Slot
from vitalops.prober.regulars import RENEWAL_SECONDS, SLOT, SLOT_RESERVE, KnownSlot, Regulars

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOMEBODY = Person("patient", Account("a@example.invalid", "x"), "p")


def with_slot(ends_at: datetime) -> Regulars:
    return Regulars(slot=KnownSlot(Slot(id="s", practitioner="d"), ends_at))


@given(st.timedeltas(timedelta(hours=-2), timedelta(hours=2)))
def test_slots_follow_one_another_without_overlap(ends_in: timedelta) -> None:
    start, end = with_slot(NOON + ends_in).next_slot(NOON)
    assert start >= max(NOON, NOON + ends_in)
    assert end - start == SLOT
    assert start - NOON <= max(timedelta(0), ends_in)


def test_a_slot_serves_until_a_walk_could_not_let_go_of_it_any_more() -> None:
    regulars = with_slot(NOON + SLOT)
    assert regulars.slot is not None
    assert regulars.slot.serves(NOON)
    assert not regulars.slot.serves(NOON + SLOT - SLOT_RESERVE)
    regulars.spend_slot()
    assert not regulars.slot.serves(NOON)


def test_a_code_is_good_for_one_sign_in() -> None:
    regulars = Regulars()
    assert not regulars.has_used_code_of(1000.0)
    regulars.use_code_of(1000.0)
    assert regulars.has_used_code_of(1019.9)
    assert not regulars.has_used_code_of(1020.0)


def test_people_who_do_not_get_in_are_replaced_but_not_over_and_over() -> None:
    regulars = Regulars()
    regulars.welcome(SOMEBODY, SOMEBODY, 1000.0)
    regulars.consented, regulars.encounter = True, "e"
    assert not regulars.turn_away(1000.0 + RENEWAL_SECONDS - 1)
    assert regulars.patient is SOMEBODY
    assert regulars.turn_away(1000.0 + RENEWAL_SECONDS)
    assert regulars.patient is None
    regulars.welcome(SOMEBODY, SOMEBODY, 5000.0)
    assert (regulars.consented, regulars.encounter, regulars.slot) == (False, "", None)
