"""The steps that leave something behind: a note, a signed prescription, a payment, a message to the patient."""

from __future__ import annotations

import uuid
from typing import Any, Final

from vitalops.consultation import tokens
from vitalops.consultation.http import Partial, bearer, read, until
from vitalops.consultation.state import Payment, Prescription, Walk
from vitalops.consultation.walk import Step, StepFailed
from vitalops.conventions import HEADER_IDEMPOTENCY_KEY

KEY_SET_PATH: Final = "/prescription/.well-known/prescription-jwks.json"
PARACETAMOL: Final = "N02BE01"
PAYMENT_TOKEN: Final = "tok_visa"
CURRENCY: Final = "EUR"
DELIVERY_SECONDS: Final = 8.0
"""Services tell one another through outboxes, in their own time."""


async def prescribe(walk: Walk) -> str:
    body = {
        "consultation_id": walk.consultation_id,
        "items": [
            {
                "system": "ATC",
                "code": PARACETAMOL,
                "dosage": "1 tablet up to three times a day",
                "quantity": 12,
            }
        ],
    }
    path = "/prescription/v1/prescriptions"
    walk.prescription = await walk.edge.create(Prescription, path, walk.practitioner.token, body)
    seen = await walk.edge.get(Prescription, f"{path}/{walk.prescription.id}", walk.patient.token)
    if seen.document != walk.prescription.document:
        raise StepFailed("the patient gets another document than the practitioner signed")
    return f"{PARACETAMOL}, {seen.status}, the patient has the signed document"


async def check_prescription(walk: Walk) -> str:
    """As a pharmacist would with the published keys alone."""
    published = (await walk.edge.ask("GET", KEY_SET_PATH)).json()
    walk.prescription_keys = tokens.key_set(published)
    try:
        content = tokens.checked_prescription(walk.prescription.document, walk.prescription_keys)
    except tokens.Refused as refusal:
        raise StepFailed(f"the published keys do not verify the prescription: {refusal}") from refusal
    expected = {
        "jti": walk.prescription.id,
        "sub": walk.patient.subject,
        "prescriber": walk.practitioner.subject,
        "consultation": walk.consultation_id,
    }
    for name, wanted in expected.items():
        if content.get(name) != wanted:
            raise StepFailed(f"the signed {name} is {content.get(name)!r}, not {wanted!r}")
    if [item.get("code") for item in content.get("items", ())] != [PARACETAMOL]:
        raise StepFailed("the signed items are not what was prescribed")
    kid = tokens.part(walk.prescription.document, 0).get("kid")
    return f"{tokens.ALGORITHM} by key {kid} of the published set, who and what as prescribed"


class _Tariffs(Partial):
    teleconsultation: tuple[dict[str, Any], ...]


async def pay(walk: Walk) -> str:
    assert walk.appointment is not None
    tariffs = await walk.edge.get(_Tariffs, "/payment/v1/tariffs", walk.patient.token)
    price = next((each for each in tariffs.teleconsultation if each.get("currency") == CURRENCY), None)
    if price is None:
        raise StepFailed(f"there is no price in {CURRENCY}")
    walk.payment_key = str(uuid.uuid4())
    walk.payment_body = {
        "appointment_id": walk.appointment.id,
        "amount": price,
        "payment_token": PAYMENT_TOKEN,
    }
    walk.payment, again = await _pay(walk), await _pay(walk)
    if walk.payment.status != "captured" or not walk.payment.invoices:
        raise StepFailed(f"the payment is {walk.payment.status} with {len(walk.payment.invoices)} invoices")
    if again != walk.payment:
        raise StepFailed("the same request with the same key made another payment")
    amount = f"{walk.payment.amount.minor / 100:.2f} {walk.payment.amount.currency}"
    return f"{amount}, invoice {walk.payment.invoices[0]}; repeated, charged once"


async def _pay(walk: Walk) -> Payment:
    headers = bearer(walk.patient.token) | {HEADER_IDEMPOTENCY_KEY: walk.payment_key}
    response = await walk.edge.ask(
        "POST", "/payment/v1/payments", expect=(201,), headers=headers, json=walk.payment_body
    )
    return read(Payment, response)


class _Notification(Partial):
    template: str
    status: str


class _Notifications(Partial):
    notifications: tuple[_Notification, ...]


async def notified(walk: Walk) -> str:
    wanted = {"appointment-booked", "prescription-issued", "payment-receipt"}

    async def look() -> set[str]:
        seen = await walk.edge.get(_Notifications, "/notification/v1/notifications", walk.patient.token)
        return {each.template for each in seen.notifications if each.status == "sent"}

    await until(
        look,
        lambda sent: wanted <= sent,
        DELIVERY_SECONDS,
        lambda sent: f"without {', '.join(sorted(wanted - sent))}",
    )
    return f"sent: {', '.join(sorted(wanted))}"


STEPS: Final = (
    Step("prescription is signed", prescribe),
    Step("prescription holds for a third party", check_prescription),
    Step("patient pays, once", pay),
    Step("patient is notified", notified, limit_seconds=15),
)
