"""HTTP interface of payment."""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from services.common.access import record_access
from services.common.audit import AuditEntry
from services.common.auth import Principal, require
from services.common.context import service_state
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.openapi import problems
from services.common.problems import conflict, not_found, unprocessable
from services.payment import store
from services.payment.flow import PaymentFlow
from services.payment.models import Invoice, PaymentRow
from services.payment.money import Money, MoneyError
from services.payment.rules import TARIFFS, PaymentRefused, holds_card_number
from services.payment.views import (
    InvoiceList,
    InvoiceView,
    PaymentList,
    PaymentRequest,
    PaymentView,
    RefundRequest,
    TariffList,
    amount_view,
    invoice_view,
    payment_view,
)


async def refuse_card_numbers(request: Request) -> None:
    """422 for a body with anything that looks like a card number, before any of it is looked at further."""
    try:
        body: Any = json.loads(await request.body() or b"null")
        found = holds_card_number(body)
    except ValueError:
        return
    except RecursionError:
        raise unprocessable("The body is nested too deeply.", type="validation") from None
    if found:
        raise unprocessable(
            "Card numbers are not accepted here: send the provider's token.", type="card-data"
        )


router = APIRouter(tags=["payment"], dependencies=[Depends(refuse_card_numbers)])

FlowDep = Annotated[PaymentFlow, Depends(service_state)]
PatientDep = Annotated[Principal, Depends(require(role="patient"))]
PayeeDep = Annotated[Principal, Depends(require(role={"practitioner", "service"}))]
PartyDep = Annotated[Principal, Depends(require(role={"patient", "practitioner"}))]
AnyPartyDep = Annotated[Principal, Depends(require(role={"patient", "practitioner", "service"}))]
Limit = Annotated[int, Query(ge=1, le=200, description="At most so many")]


@router.get("/v1/tariffs")
def list_tariffs(_: AnyPartyDep) -> TariffList:
    """What a consultation costs."""
    return TariffList(teleconsultation=[amount_view(price) for price in TARIFFS.values()])


@router.post("/v1/payments", status_code=201, response_model=PaymentView, responses=problems(402))
def pay(
    body: PaymentRequest, principal: PatientDep, flow: FlowDep, session: SessionDep, once: OnceDep
) -> Response:
    """Pay for one's appointment. The same key with other parameters is refused; a decline is 402 and is final."""
    return once(lambda: flow.pay(session, principal, body, once.key))


@router.get("/v1/payments")
def list_payments(principal: PartyDep, session: SessionDep, limit: Limit = 50) -> PaymentList:
    """The caller's own payments: made by a patient, or due to a practitioner."""
    rows = store.payments_of(session, role=principal.role, subject=principal.subject, limit=limit)
    return PaymentList(payments=[_view(session, row) for row in rows])


@router.get("/v1/payments/{payment_id}")
def read_payment(payment_id: uuid.UUID, principal: AnyPartyDep, session: SessionDep) -> PaymentView:
    """One payment, for its parties and for services."""
    row = _of_party(session, payment_id, principal, "payment.read")
    record_access(session, principal, "payment.read", f"payments/{payment_id}", patient=row.patient)
    return _view(session, row)


@router.post("/v1/payments/{payment_id}/capture", responses=problems(409))
def capture(payment_id: uuid.UUID, principal: PayeeDep, flow: FlowDep, session: SessionDep) -> PaymentView:
    """Take the reserved money. Doing so again changes nothing more."""
    row = _of_party(session, payment_id, principal, "payment.captured", lock=True)
    if row.status != "captured":
        try:
            flow.capture(session, principal, row)
        except PaymentRefused as refusal:
            raise conflict(f"{str(refusal).capitalize()}.", type="payment-state") from refusal
    return _view(session, row)


@router.post("/v1/payments/{payment_id}/cancellation", responses=problems(409))
def cancel(payment_id: uuid.UUID, principal: AnyPartyDep, flow: FlowDep, session: SessionDep) -> PaymentView:
    """Let reserved money go. Doing so again changes nothing more."""
    row = _of_party(session, payment_id, principal, "payment.cancelled", lock=True)
    if row.status != "cancelled":
        try:
            flow.cancel(session, principal, row)
        except PaymentRefused as refusal:
            raise conflict(f"{str(refusal).capitalize()}.", type="payment-state") from refusal
    return _view(session, row)


@router.post("/v1/payments/{payment_id}/refunds", status_code=201, response_model=PaymentView)
def refund(
    payment_id: uuid.UUID,
    body: RefundRequest,
    principal: PayeeDep,
    flow: FlowDep,
    session: SessionDep,
    once: OnceDep,
) -> Response:
    """Pay back some or all of a captured payment; a credit note is issued."""

    def effect() -> PaymentView:
        row = _of_party(session, payment_id, principal, "payment.refunded", lock=True)
        try:
            amount = Money(body.amount.minor, body.amount.currency) if body.amount else None
            flow.refund(session, principal, row, amount, once.key)
        except MoneyError as error:
            raise unprocessable(f"{str(error).capitalize()}.", type="wrong-amount") from error
        except PaymentRefused as refusal:
            raise conflict(f"{str(refusal).capitalize()}.", type="payment-state") from refusal
        return _view(session, row)

    return once(effect)


@router.get("/v1/invoices")
def list_invoices(principal: PartyDep, session: SessionDep, limit: Limit = 50) -> InvoiceList:
    """The caller's own invoices and credit notes."""
    rows = store.invoices_of(session, role=principal.role, subject=principal.subject, limit=limit)
    return InvoiceList(invoices=[invoice_view(row) for row in rows])


@router.get("/v1/invoices/{number}")
def read_invoice(number: str, principal: AnyPartyDep, session: SessionDep) -> InvoiceView:
    """One invoice, for its parties and for services."""
    invoice = session.get(Invoice, number) if number.isprintable() else None
    if invoice is None:
        raise not_found("invoice")
    _check_party(
        principal, invoice.patient, invoice.practitioner, "invoice.read", f"invoices/{number}", "invoice"
    )
    record_access(session, principal, "invoice.read", f"invoices/{number}", patient=invoice.patient)
    return invoice_view(invoice)


def _check_party(
    principal: Principal, patient: str, practitioner: str, action: str, resource: str, what: str
) -> None:
    """404 for whoever is no party to it; the attempt is recorded."""
    if principal.role != "service" and principal.subject not in (patient, practitioner):
        raise not_found(what, audit=AuditEntry(action, resource, principal, patient, "denied"))


def _of_party(
    session: Session, payment_id: uuid.UUID, principal: Principal, action: str, *, lock: bool = False
) -> PaymentRow:
    row = session.get(PaymentRow, payment_id, with_for_update=lock)
    if row is None:
        raise not_found("payment")
    _check_party(principal, row.patient, row.practitioner, action, f"payments/{payment_id}", "payment")
    return row


def _view(session: Session, row: PaymentRow) -> PaymentView:
    return payment_view(row, [invoice.number for invoice in store.invoices_of_payment(session, row)])
