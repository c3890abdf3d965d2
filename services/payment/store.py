"""Invoices and their numbers, and lists of payments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.payment.models import Invoice, InvoiceCounter, PaymentRow
from services.payment.money import Money
from services.payment.rules import invoice_number

InvoiceKind = Literal["invoice", "credit-note"]


def issue_invoice(
    session: Session, row: PaymentRow, kind: InvoiceKind, amount: Money, now: datetime
) -> Invoice:
    """Issue the next invoice. Call it last: it holds the year's counter until the transaction ends.

    A transaction that fails gives its number back with everything else, so the sequence has no gaps.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(insert(InvoiceCounter).values(year=now.year, last=0).on_conflict_do_nothing())
    sequence = session.scalar(
        update(InvoiceCounter)
        .where(InvoiceCounter.year == now.year)
        .values(last=InvoiceCounter.last + 1)
        .returning(InvoiceCounter.last)
    )
    assert sequence is not None
    invoice = Invoice(
        number=invoice_number(now.year, sequence),
        kind=kind,
        payment_id=row.id,
        patient=row.patient,
        practitioner=row.practitioner,
        amount_minor=amount.minor,
        currency=amount.currency,
        issued_at=now,
    )
    session.add(invoice)
    session.flush()
    return invoice


def invoices_of_payment(session: Session, row: PaymentRow) -> Sequence[Invoice]:
    """The payment's invoice and credit notes, in order."""
    return session.scalars(select(Invoice).where(Invoice.payment_id == row.id).order_by(Invoice.number)).all()


def payments_of(session: Session, *, role: str, subject: str, limit: int) -> Sequence[PaymentRow]:
    """Payments made by a patient or due to a practitioner, newest first."""
    owner = PaymentRow.patient if role == "patient" else PaymentRow.practitioner
    query = select(PaymentRow).where(owner == subject).order_by(PaymentRow.created_at.desc(), PaymentRow.id)
    return session.scalars(query.limit(limit)).all()


def invoices_of(session: Session, *, role: str, subject: str, limit: int) -> Sequence[Invoice]:
    """Invoices to a patient or of a practitioner, newest first."""
    owner = Invoice.patient if role == "patient" else Invoice.practitioner
    query = select(Invoice).where(owner == subject).order_by(Invoice.number.desc())
    return session.scalars(query.limit(limit)).all()
