"""Paying once, replays, declines, invoices without gaps, and who sees what."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from services.common.testing import FixedClock, TokenSigner, assert_migrations_match
from services.payment.service import SERVICE

PATIENT, OTHER, DOCTOR, OTHER_DOCTOR = (str(uuid.uuid4()) for _ in range(4))
PRICE = {"minor": 2500, "currency": "EUR"}


@pytest.fixture
def client(start: Any, platform: Any) -> Any:
    def appointment(request: httpx.Request) -> httpx.Response:
        identifier = request.url.path.rsplit("/", 1)[1]
        status = "cancelled" if identifier.startswith("0") else "booked"
        return httpx.Response(
            200, json={"id": identifier, "patient": PATIENT, "practitioner": DOCTOR, "status": status}
        )

    platform.answers["scheduling/v1/appointments/"] = appointment
    return start(SERVICE)


def an_appointment(first: str = "a") -> str:
    return first + str(uuid.uuid4())[1:]


def pay(
    client: Any, signer: TokenSigner, patient: str = PATIENT, *, key: str | None = None, **change: Any
) -> Any:
    body = {"appointment_id": an_appointment(), "amount": PRICE, "payment_token": "tok_visa"} | change
    return client.post("/v1/payments", json=body, headers=signer.headers("patient", patient, key=key))


def kind(response: Any) -> str:
    return response.json()["type"].removeprefix("urn:vitalops:problem:")


def test_migrations_make_the_models_tables(tmp_path: Any) -> None:
    assert_migrations_match(SERVICE, tmp_path)


def test_a_payment_is_captured_invoiced_and_receipted(
    client: Any, signer: TokenSigner, platform: Any
) -> None:
    paid = pay(client, signer)
    assert paid.status_code == 201
    assert paid.json()["status"] == "captured"
    assert paid.json()["invoices"] == ["2026-000001"]
    client.deliver()
    assert platform.sent_to("notification/v1/notifications") == [
        {
            "subject": PATIENT,
            "template": "payment-receipt",
            "reference": f"payments/{paid.json()['id']}",
            "parameters": {"amount": "25.00 EUR", "invoice": "2026-000001"},
        }
    ]
    assert [event["action"] for event in platform.audit] == ["payment.authorised", "payment.captured"]


def test_a_replay_with_the_same_parameters_is_the_same_payment(client: Any, signer: TokenSigner) -> None:
    appointment = an_appointment()
    first, second = (pay(client, signer, key="key-00000001", appointment_id=appointment) for _ in range(2))
    assert first.json() == second.json()
    mine = client.get("/v1/payments", headers=signer.headers("patient", PATIENT)).json()["payments"]
    assert len(mine) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"payment_token": "tok_mastercard"},
        {"amount": {"minor": 6000, "currency": "CHF"}},
        {"appointment_id": an_appointment()},
    ],
)
def test_a_replay_with_other_parameters_is_refused(
    client: Any, signer: TokenSigner, change: dict[str, Any]
) -> None:
    appointment = an_appointment()
    assert pay(client, signer, key="key-00000001", appointment_id=appointment).status_code == 201
    replay = pay(client, signer, key="key-00000001", **({"appointment_id": appointment} | change))
    assert (replay.status_code, kind(replay)) == (422, "idempotency-key-reused")


def test_the_same_key_of_another_payer_is_another_key(client: Any, signer: TokenSigner) -> None:
    appointment = an_appointment()
    assert pay(client, signer, key="key-00000001", appointment_id=appointment).status_code == 201
    other = pay(client, signer, OTHER, key="key-00000001", appointment_id=appointment)
    assert kind(other) == "unknown-appointment"


def test_an_appointment_is_paid_once(client: Any, signer: TokenSigner) -> None:
    appointment = an_appointment()
    assert pay(client, signer, appointment_id=appointment).status_code == 201
    assert kind(pay(client, signer, appointment_id=appointment)) == "already-paid"


def test_a_declined_payment_is_kept_replayed_and_leaves_the_appointment_payable(
    client: Any, signer: TokenSigner
) -> None:
    appointment = an_appointment()
    declined = [
        pay(client, signer, key="key-00000001", appointment_id=appointment, payment_token="tok_declined")
        for _ in range(2)
    ]
    assert [each.status_code for each in declined] == [402, 402]
    assert declined[0].json()["decline_code"] == "card_declined"
    assert declined[1].headers["idempotent-replayed"] == "true"
    assert declined[1].headers["content-type"] == "application/problem+json"
    path = f"/v1/payments/{declined[0].json()['payment']}"
    assert client.get(path, headers=signer.headers("patient", PATIENT)).json()["status"] == "failed"
    assert pay(client, signer, appointment_id=appointment).status_code == 201


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"amount": {"minor": 1, "currency": "EUR"}}, "wrong-amount"),
        ({"amount": {"minor": 2500, "currency": "USD"}}, "wrong-amount"),
        ({"amount": {"minor": 2500, "currency": "XXX"}}, "wrong-amount"),
        ({"amount": {"minor": 25.0, "currency": "EUR"}}, "validation"),
        ({"payment_token": "tok_nobody"}, "unknown-token"),
        ({"payment_token": "4242424242424242"}, "card-data"),
        ({"card": {"number": "4242 4242 4242 4242", "cvc": "123"}}, "card-data"),
        ({"card": "1"}, "validation"),
    ],
)
def test_what_cannot_be_paid_is_refused_and_not_repeated(
    client: Any, signer: TokenSigner, change: dict[str, Any], problem: str
) -> None:
    refused = pay(client, signer, **change)
    assert (refused.status_code, kind(refused)) == (422, problem)
    assert "4242" not in refused.text
    assert client.get("/v1/payments", headers=signer.headers("patient", PATIENT)).json()["payments"] == []


def test_a_cancelled_appointment_is_not_paid(client: Any, signer: TokenSigner) -> None:
    assert kind(pay(client, signer, appointment_id=an_appointment("0"))) == "appointment-cancelled"


def test_a_reserved_payment_is_captured_or_cancelled_by_its_payee(client: Any, signer: TokenSigner) -> None:
    payee = signer.headers("practitioner", DOCTOR)
    one, other = (pay(client, signer, capture=False).json() for _ in range(2))
    assert (one["status"], one["invoices"]) == ("authorised", [])
    for _ in range(2):
        captured = client.post(f"/v1/payments/{one['id']}/capture", headers=payee).json()
        assert (captured["status"], captured["invoices"]) == ("captured", ["2026-000001"])
    for _ in range(2):
        cancelled = client.post(f"/v1/payments/{other['id']}/cancellation", headers=payee)
        assert cancelled.json()["status"] == "cancelled"
    assert kind(client.post(f"/v1/payments/{other['id']}/capture", headers=payee)) == "payment-state"
    assert kind(client.post(f"/v1/payments/{one['id']}/cancellation", headers=payee)) == "payment-state"


def test_refunds_add_up_to_the_payment_and_each_has_a_credit_note(client: Any, signer: TokenSigner) -> None:
    payment = pay(client, signer).json()
    path = f"/v1/payments/{payment['id']}/refunds"

    def refund(body: dict[str, Any]) -> Any:
        return client.post(path, json=body, headers=signer.headers("practitioner", DOCTOR))

    part = refund({"amount": {"minor": 1000, "currency": "EUR"}}).json()
    assert (part["status"], part["refunded"]["minor"]) == ("captured", 1000)
    assert kind(refund({"amount": {"minor": 1501, "currency": "EUR"}})) == "payment-state"
    assert kind(refund({"amount": {"minor": 10, "currency": "CHF"}})) == "payment-state"
    rest = refund({}).json()
    assert (rest["status"], rest["refunded"]["minor"]) == ("refunded", 2500)
    assert rest["invoices"] == ["2026-000001", "2026-000002", "2026-000003"]


def test_invoice_numbers_have_no_gaps_although_payments_fail(
    client: Any, signer: TokenSigner, clock: FixedClock
) -> None:
    for token in ("tok_visa", "tok_declined", "tok_visa", "tok_nobody", "tok_visa"):
        pay(client, signer, payment_token=token)
        pay(client, signer, appointment_id=an_appointment("0"))
    clock.advance(days=365)
    pay(client, signer)
    listed = client.get("/v1/invoices", headers=signer.headers("patient", PATIENT)).json()["invoices"]
    numbers = [invoice["number"] for invoice in listed]
    assert numbers == ["2027-000001", "2026-000003", "2026-000002", "2026-000001"]


def test_strangers_see_nothing(client: Any, signer: TokenSigner, platform: Any) -> None:
    payment = pay(client, signer).json()
    places = [f"/v1/payments/{payment['id']}", f"/v1/invoices/{payment['invoices'][0]}"]
    for role, subject in (("patient", OTHER), ("practitioner", OTHER_DOCTOR)):
        stranger = signer.headers(role, subject)
        for place in places:
            assert client.get(place, headers=stranger).status_code == 404
        assert client.get("/v1/payments", headers=stranger).json()["payments"] == []
        assert client.get("/v1/invoices", headers=stranger).json()["invoices"] == []
    assert (
        client.post(f"{places[0]}/cancellation", headers=signer.headers("patient", OTHER)).status_code == 404
    )
    for role, subject in (("patient", PATIENT), ("practitioner", DOCTOR), ("service", "scheduling")):
        for place in places:
            assert client.get(place, headers=signer.headers(role, subject)).status_code == 200
    client.deliver()
    assert {event["actor"] for event in platform.audit if event["outcome"] == "denied"} == {
        OTHER,
        OTHER_DOCTOR,
    }


def test_patients_do_not_capture_or_refund(client: Any, signer: TokenSigner) -> None:
    payment = pay(client, signer, capture=False).json()
    for step in ("capture", "refunds"):
        answer = client.post(
            f"/v1/payments/{payment['id']}/{step}", json={}, headers=signer.headers("patient", PATIENT)
        )
        assert answer.status_code == 403
