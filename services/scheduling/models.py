"""Tables of scheduling."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Uuid, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.types import UtcDateTime, service_metadata
from services.scheduling.rules import Interval


class Base(DeclarativeBase):
    """Base of this service's models."""

    metadata = service_metadata()


class Calendar(Base):
    """One row a practitioner, locked while slots are added: two overlapping ones must not slip in together."""

    __tablename__ = "calendar"

    practitioner: Mapped[str] = mapped_column(String(128), primary_key=True)


class Slot(Base):
    """A time at which a practitioner can be booked; never moved, only withdrawn."""

    __tablename__ = "slot"
    __table_args__ = (Index("ix_slot_practitioner_starts_at", "practitioner", "starts_at"),)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    practitioner: Mapped[str] = mapped_column(String(128))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def interval(self) -> Interval:
        """When it is."""
        return Interval(self.starts_at, self.ends_at)


class Appointment(Base):
    """A booked slot. The times are copied from it."""

    __tablename__ = "appointment"
    __table_args__ = (
        # What keeps a slot from being booked twice, however many ask at once.
        Index(
            "uq_appointment_booked_slot",
            "slot_id",
            unique=True,
            postgresql_where=text("status = 'booked'"),
            sqlite_where=text("status = 'booked'"),
        ),
        Index("ix_appointment_patient_starts_at", "patient", "starts_at"),
        Index("ix_appointment_practitioner_starts_at", "practitioner", "starts_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    slot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("slot.id"))
    patient: Mapped[str] = mapped_column(String(128))
    practitioner: Mapped[str] = mapped_column(String(128))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(16))
    booked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_by: Mapped[str] = mapped_column(String(16))

    @property
    def interval(self) -> Interval:
        """When it is."""
        return Interval(self.starts_at, self.ends_at)
