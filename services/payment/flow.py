"""The steps of a payment: what is asked of the provider, what is stored, who is told.

The provider's key of each step follows from the payment's id, and that from the caller and the Idempotency-Key: a step
repeated after a crash is the same step to the provider.
"""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.common.audit import record_audit
from services.common.auth import Principal
from services.common.context import ServiceContext
from services.common.idempotency import Reply
from services.common.outbox import enqueue
from services.common.problems import MEDIA_TYPE, ProblemError, conflict, unprocessable
from services.payment.models import PaymentRow
from services.payment.money import Money, MoneyError
from services.payment.provider import PaymentProvider, UnknownToken
from services.payment.rules import Payment, PaymentRefused, check_price
from services.payment.store import InvoiceKind, issue_invoice
from services.payment.views import PaymentRequest, payment_view

_PAYMENTS = uuid.UUID("5b1a5a0e-53a4-4cf5-9a43-7f1a3f6f2b8e")
"""Namespace of payment ids (RFC 9562, version 5)."""


def payment_id(subject: str, idempotency_key: str) -> uuid.UUID:
    """The id of the payment that this caller makes with this key."""
    return uuid.uuid5(_PAYMENTS, f"{subject}\0{idempotency_key}")


class PaymentFlow:
    """Takes payments through one provider."""

    def __init__(self, context: ServiceContext, provider: PaymentProvider) -> None:
        self._context = context
        self.provider = provider

    def pay(self, session: Session, principal: Principal, body: PaymentRequest, key: str) -> Reply:
        """Authorise, and capture if so asked. A declined payment is stored and answered with 402."""
        try:
            amount = Money(body.amount.minor, body.amount.currency)
            check_price(amount)
        except (MoneyError, PaymentRefused) as refusal:
            raise unprocessable(f"{str(refusal).capitalize()}.", type="wrong-amount") from refusal
        practitioner = self._practitioner_of(body.appointment_id, principal)
        row = PaymentRow(
            id=payment_id(principal.subject, key),
            appointment_id=body.appointment_id,
            patient=principal.subject,
            practitioner=practitioner,
            amount_minor=amount.minor,
            refunded_minor=0,
            currency=amount.currency,
            status=Payment.authorised(amount).status,
            decline_code="",
            provider=self.provider.name,
            provider_reference="",
            created_at=self._context.clock.now(),
        )
        session.add(row)
        try:
            # Before any money moves: of two payments for one appointment only one gets past this line.
            session.flush()
        except IntegrityError as error:
            raise conflict("The appointment is paid for.", type="already-paid") from error
        try:
            answer = self.provider.authorise(str(row.id), body.payment_token, amount)
        except UnknownToken as unknown:
            raise unprocessable("The provider does not know this token.", type="unknown-token") from unknown
        row.provider_reference, row.decline_code = answer.reference, answer.decline_code
        if not answer.approved:
            return self._declined(session, principal, row)
        record_audit(
            session, principal, "payment.authorised", f"payments/{row.id}", patient=row.patient,
            detail={"amount": str(amount)},
        )  # fmt: skip
        numbers = [self.capture(session, principal, row)] if body.capture else []
        return Reply(payment_view(row, numbers), location=f"/payment/v1/payments/{row.id}")

    def capture(self, session: Session, principal: Principal, row: PaymentRow) -> str:
        """Take the reserved money; returns the invoice's number. Raises PaymentRefused when there is none."""
        payment = row.payment.captured()
        self.provider.capture(f"{row.id}:capture", row.provider_reference, payment.amount)
        row.become(payment)
        return self._document(session, principal, row, "invoice", payment.amount)

    def cancel(self, session: Session, principal: Principal, row: PaymentRow) -> None:
        """Let the reserved money go. Raises PaymentRefused when it was taken already."""
        payment = row.payment.cancelled()
        self.provider.cancel(f"{row.id}:cancel", row.provider_reference)
        row.become(payment)
        record_audit(session, principal, "payment.cancelled", f"payments/{row.id}", patient=row.patient)

    def refund(
        self, session: Session, principal: Principal, row: PaymentRow, amount: Money | None, key: str
    ) -> str:
        """Pay back; returns the credit note's number. Raises PaymentRefused when that is more than is left."""
        before = row.payment
        money = amount if amount is not None else before.amount - before.refunded
        payment = before.refund(money)
        self.provider.refund(f"{row.id}:refund:{key}", row.provider_reference, money)
        row.become(payment)
        return self._document(session, principal, row, "credit-note", money)

    def _practitioner_of(self, appointment_id: uuid.UUID, principal: Principal) -> str:
        """The practitioner of the payer's own appointment; somebody else's is as unknown as none."""
        response = self._context.client.get("scheduling", f"/v1/appointments/{appointment_id}")
        appointment: dict[str, Any] = response.json() if response.status_code == 200 else {}
        if appointment.get("patient") != principal.subject:
            raise unprocessable("There is no such appointment of yours.", type="unknown-appointment")
        if appointment.get("status") != "booked":
            raise conflict("The appointment is cancelled.", type="appointment-cancelled")
        return str(appointment["practitioner"])

    def _declined(self, session: Session, principal: Principal, row: PaymentRow) -> Reply:
        row.become(row.payment.failed())
        record_audit(
            session, principal, "payment.declined", f"payments/{row.id}", patient=row.patient, outcome="failure",
            detail={"code": row.decline_code},
        )  # fmt: skip
        problem = ProblemError(
            402,
            "payment-declined",
            "Payment declined",
            "The provider declined the payment; try another means of payment with a new Idempotency-Key.",
            extra={"payment": str(row.id), "decline_code": row.decline_code},
        )
        return Reply(problem.document(), status=402, media_type=MEDIA_TYPE)

    def _document(
        self, session: Session, principal: Principal, row: PaymentRow, kind: InvoiceKind, amount: Money
    ) -> str:
        action, message = (
            ("payment.captured", "payment-receipt")
            if kind == "invoice"
            else ("payment.refunded", "payment-refunded")
        )
        session.flush()
        record_audit(
            session,
            principal,
            action,
            f"payments/{row.id}",
            patient=row.patient,
            detail={"amount": str(amount)},
        )
        invoice = issue_invoice(session, row, kind, amount, self._context.clock.now())
        enqueue(
            session,
            "notification",
            "/v1/notifications",
            {
                "subject": row.patient,
                "template": message,
                "reference": f"payments/{row.id}",
                "parameters": {"amount": str(amount), "invoice": invoice.number},
            },
        )
        return invoice.number
