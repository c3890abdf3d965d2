"""Bodies and responses of payment."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.common.types import Body, View
from services.payment.models import Invoice, PaymentRow
from services.payment.money import MAX_MINOR, Money
from services.payment.rules import Status

Token = Annotated[str, StringConstraints(pattern=r"^tok_[A-Za-z][A-Za-z0-9_]{0,60}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Amount(Body):
    """Money in whole minor units (cents) of an ISO 4217 currency."""

    minor: int = Field(ge=0, le=MAX_MINOR, strict=True, examples=[2500])
    currency: Currency = Field(examples=["EUR"])


class PaymentRequest(Body):
    """Pay for an appointment with a token of the payment provider. There is no field for a card."""

    appointment_id: uuid.UUID
    amount: Amount
    payment_token: Token = Field(examples=["tok_visa"])
    capture: bool = Field(
        default=True, description="Take the money now; otherwise reserve it and capture later"
    )


class RefundRequest(Body):
    """Pay back; all that is left when no amount is given."""

    amount: Amount | None = None


class PaymentView(View):
    """A payment and where it stands."""

    id: uuid.UUID
    appointment_id: uuid.UUID
    patient: str
    practitioner: str
    amount: Amount
    refunded: Amount
    status: Status
    provider: str
    created_at: datetime
    invoices: list[str] = Field(description="Numbers of the invoice and of its credit notes, in order")


class PaymentList(View):
    """Payments, newest first."""

    payments: list[PaymentView]


class InvoiceView(View):
    """An invoice or a credit note."""

    number: str
    kind: Literal["invoice", "credit-note"]
    payment_id: uuid.UUID
    patient: str
    practitioner: str
    amount: Amount
    issued_at: datetime


class InvoiceList(View):
    """Invoices, newest first."""

    invoices: list[InvoiceView]


class TariffList(View):
    """What a teleconsultation costs, one price a currency."""

    teleconsultation: list[Amount]


def amount_view(money: Money) -> Amount:
    """Money as it is shown."""
    return Amount(minor=money.minor, currency=money.currency)


def payment_view(row: PaymentRow, invoices: list[str]) -> PaymentView:
    """A payment as it is shown."""
    money = row.payment
    return PaymentView(
        id=row.id,
        appointment_id=row.appointment_id,
        patient=row.patient,
        practitioner=row.practitioner,
        amount=amount_view(money.amount),
        refunded=amount_view(money.refunded),
        status=money.status,
        provider=row.provider,
        created_at=row.created_at,
        invoices=invoices,
    )


def invoice_view(invoice: Invoice) -> InvoiceView:
    """An invoice as it is shown."""
    return InvoiceView.model_validate(
        {
            "number": invoice.number,
            "kind": invoice.kind,
            "payment_id": invoice.payment_id,
            "patient": invoice.patient,
            "practitioner": invoice.practitioner,
            "amount": Amount(minor=invoice.amount_minor, currency=invoice.currency),
            "issued_at": invoice.issued_at,
        }
    )
