"""Tables of prescription. Rows are never deleted: the archive is the point."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import Index, String, Text, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.types import UtcDateTime, service_metadata


class Base(DeclarativeBase):
    """Base of this service's models."""

    metadata = service_metadata()


class PrescriptionRow(Base):
    """A signed prescription and its status. What was prescribed is in the signed document and nowhere else."""

    __tablename__ = "prescription"
    __table_args__ = (
        Index("ix_prescription_patient_issued_at", "patient", "issued_at"),
        Index("ix_prescription_prescriber_issued_at", "prescriber", "issued_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    patient: Mapped[str] = mapped_column(String(128))
    prescriber: Mapped[str] = mapped_column(String(128))
    consultation_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    document: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(16))
    status_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revocation_reason: Mapped[str] = mapped_column(String(32))
