"""Tables of consultation: what happened, and what it amounts to."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.types import UtcDateTime, service_metadata


class Base(DeclarativeBase):
    """Base of this service's models."""

    metadata = service_metadata()


class Consultation(Base):
    """One consultation. From `state` to `ended_at`, the columns are derived from its events, for lists and queues."""

    __tablename__ = "consultation"
    __table_args__ = (
        Index("ix_consultation_patient_starts_at", "patient", "starts_at"),
        Index("ix_consultation_practitioner_starts_at", "practitioner", "starts_at"),
        Index("ix_consultation_ended_ends_at", "ended", "ends_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    appointment_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    patient: Mapped[str] = mapped_column(String(128))
    practitioner: Mapped[str] = mapped_column(String(128))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    room: Mapped[str] = mapped_column(String(64), unique=True)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(16))
    ended: Mapped[bool]
    waiting_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    admitted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    media_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Opened by synthetic traffic: all that becomes of it is counted as such.
    synthetic: Mapped[bool] = mapped_column(default=False)


class EventRow(Base):
    """One event. The primary key is what makes a webhook that is delivered twice count once."""

    __tablename__ = "consultation_event"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    consultation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("consultation.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    party: Mapped[str] = mapped_column(String(16))
    session: Mapped[str] = mapped_column(String(64))
    track: Mapped[str] = mapped_column(String(64))
    room: Mapped[str] = mapped_column(String(64))
    voluntary: Mapped[bool]
    outcome: Mapped[str] = mapped_column(String(16))


class CallModeRow(Base):
    """What calls may be at present: one row, or none until somebody sets it."""

    __tablename__ = "call_mode"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mode: Mapped[str] = mapped_column(String(16))
    since: Mapped[datetime] = mapped_column(UtcDateTime)


class QualityReport(Base):
    """How often one party of a consultation reported on its call's quality, and when last. Not what it said."""

    __tablename__ = "quality_report"

    consultation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("consultation.id"), primary_key=True)
    party: Mapped[str] = mapped_column(String(16), primary_key=True)
    reports: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
