"""Tables of payment. Amounts are whole minor units; no column can hold a card number."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Uuid, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.types import UtcDateTime, service_metadata
from services.payment.money import Money
from services.payment.rules import Payment, Status


class Base(DeclarativeBase):
    """Base of this service's models."""

    metadata = service_metadata()


_PAID = text("status IN ('authorised', 'captured')")


class PaymentRow(Base):
    """A payment for one appointment."""

    __tablename__ = "payment"
    __table_args__ = (
        # An appointment is paid once; a failed, cancelled or refunded payment may be followed by another.
        Index(
            "uq_payment_paid_appointment",
            "appointment_id",
            unique=True,
            postgresql_where=_PAID,
            sqlite_where=_PAID,
        ),
        Index("ix_payment_patient_created_at", "patient", "created_at"),
        Index("ix_payment_practitioner_created_at", "practitioner", "created_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    appointment_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    patient: Mapped[str] = mapped_column(String(128))
    practitioner: Mapped[str] = mapped_column(String(128))
    amount_minor: Mapped[int]
    refunded_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[str] = mapped_column(String(16))
    decline_code: Mapped[str] = mapped_column(String(64))
    provider: Mapped[str] = mapped_column(String(32))
    provider_reference: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @property
    def payment(self) -> Payment:
        """The money side."""
        return Payment(
            Money(self.amount_minor, self.currency),
            Status(self.status),
            Money(self.refunded_minor, self.currency),
        )

    def become(self, payment: Payment) -> None:
        """Record the money side after a step."""
        self.status, self.refunded_minor = payment.status, payment.refunded.minor


class InvoiceCounter(Base):
    """The last number given in a year. Its row lock is what keeps the sequence free of gaps."""

    __tablename__ = "invoice_counter"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]


class Invoice(Base):
    """An invoice, or the credit note that takes (part of) one back. Never changed, never deleted."""

    __tablename__ = "invoice"

    number: Mapped[str] = mapped_column(String(16), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    payment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payment.id"), index=True)
    patient: Mapped[str] = mapped_column(String(128), index=True)
    practitioner: Mapped[str] = mapped_column(String(128), index=True)
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
