"""The questions asked of scheduling's tables, and the changes made to them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.scheduling.models import Appointment, Calendar, Slot
from services.scheduling.rules import AppointmentStatus, Interval


class SlotTaken(Exception):
    """Somebody else booked the slot first."""


_BOOKED = exists().where(Appointment.slot_id == Slot.id, Appointment.status == AppointmentStatus.BOOKED)


def lock_calendar(session: Session, practitioner: str) -> None:
    """Have a practitioner's slots to oneself until the transaction ends."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(insert(Calendar).values(practitioner=practitioner).on_conflict_do_nothing())
    session.scalar(select(Calendar).where(Calendar.practitioner == practitioner).with_for_update())


def overlaps_slot(session: Session, practitioner: str, interval: Interval) -> bool:
    """Whether the practitioner has a slot at that time already."""
    other = exists().where(
        Slot.practitioner == practitioner,
        Slot.withdrawn_at.is_(None),
        Slot.starts_at < interval.ends_at,
        Slot.ends_at > interval.starts_at,
    )
    return bool(session.scalar(select(other)))


def add_slot(session: Session, practitioner: str, interval: Interval) -> Slot:
    """Publish a slot."""
    slot = Slot(
        id=uuid.uuid4(),
        practitioner=practitioner,
        starts_at=interval.starts_at,
        ends_at=interval.ends_at,
        withdrawn_at=None,
    )
    session.add(slot)
    session.flush()
    return slot


def lock_slot(session: Session, slot_id: uuid.UUID) -> Slot | None:
    """The slot, unless withdrawn; locked, so that it is not withdrawn while it is booked."""
    slot = session.get(Slot, slot_id, with_for_update=True)
    return slot if slot is not None and slot.withdrawn_at is None else None


def is_booked(session: Session, slot_id: uuid.UUID) -> bool:
    """Whether the slot is taken."""
    taken = exists().where(Appointment.slot_id == slot_id, Appointment.status == AppointmentStatus.BOOKED)
    return bool(session.scalar(select(taken)))


def free_slots(
    session: Session, *, since: datetime, until: datetime, practitioner: str, limit: int
) -> Sequence[Slot]:
    """Slots that nobody has booked, soonest first."""
    query = select(Slot).where(
        Slot.withdrawn_at.is_(None), Slot.starts_at >= since, Slot.starts_at < until, ~_BOOKED
    )
    if practitioner:
        query = query.where(Slot.practitioner == practitioner)
    return session.scalars(query.order_by(Slot.starts_at, Slot.id).limit(limit)).all()


def patient_is_busy(session: Session, patient: str, interval: Interval) -> bool:
    """Whether the patient has an appointment at that time."""
    other = exists().where(
        Appointment.patient == patient,
        Appointment.status == AppointmentStatus.BOOKED,
        Appointment.starts_at < interval.ends_at,
        Appointment.ends_at > interval.starts_at,
    )
    return bool(session.scalar(select(other)))


def book(session: Session, slot: Slot, patient: str, now: datetime) -> Appointment:
    """Book a slot. Raises SlotTaken when another booking came first."""
    appointment = Appointment(
        id=uuid.uuid4(),
        slot_id=slot.id,
        patient=patient,
        practitioner=slot.practitioner,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        status=AppointmentStatus.BOOKED,
        booked_at=now,
        cancelled_at=None,
        cancelled_by="",
    )
    session.add(appointment)
    try:
        session.flush()
    except IntegrityError as error:
        raise SlotTaken from error
    return appointment


def appointments_of(
    session: Session, *, role: str, subject: str, since: datetime | None, status: str, limit: int
) -> Sequence[Appointment]:
    """Appointments of a patient or of a practitioner, soonest first."""
    owner = Appointment.patient if role == "patient" else Appointment.practitioner
    query = select(Appointment).where(owner == subject)
    if since is not None:
        query = query.where(Appointment.ends_at > since)
    if status:
        query = query.where(Appointment.status == status)
    return session.scalars(query.order_by(Appointment.starts_at, Appointment.id).limit(limit)).all()
