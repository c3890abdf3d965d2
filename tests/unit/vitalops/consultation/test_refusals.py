"""Each attempt of the negative walk fails where a platform does what it should refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from vitalops.consultation import refusals, tokens
from vitalops.consultation.call import ProcessCall
from vitalops.consultation.http import Edge
from vitalops.consultation.people import Person
from vitalops.consultation.signin import Account, Tokens
from vitalops.consultation.state import Amount, Appointment, Payment, Prescription, Walk
from vitalops.consultation.walk import Outcome, StepResult, run

KEY = ECKey.generate_key("P-256", {"kid": "k1"})
KEYS = tokens.key_set({"keys": [KEY.as_dict(private=False)]})
PEM = KEY.as_pem(private=True).decode()
STEPS = refusals.steps(lambda _, token: tokens.expired(token, PEM, "k1", 1_800_000_000))
NAMES = [step.name for step in STEPS]
PAID = {
    "id": "y1",
    "status": "captured",
    "amount": {"minor": 2500, "currency": "EUR"},
    "invoices": ["2026-000001"],
}

Platform = Callable[[httpx.Request], httpx.Response]


def signed(typ: str, **content: object) -> str:
    header = {"alg": "ES256", "kid": "k1", "typ": typ}
    return jws.serialize_compact(header, json.dumps(content).encode(), KEY, algorithms=["ES256"])


def person(name: str) -> Person:
    token = Tokens(
        access_token=signed("at+jwt", sub=name, role="patient"), token_type="Bearer", expires_in=900
    )
    return Person("patient", Account(f"{name}@example.invalid", "x"), name, token)


DOCUMENT = signed(tokens.PRESCRIPTION_TYPE, jti="r1", items=[])
PATIENT, STRANGER = person("p1"), person("s1")


def attempt(name: str, platform: Platform) -> StepResult:
    async def go() -> StepResult:
        edge = Edge("https://edge.test", httpx.MockTransport(platform))
        walk = Walk(edge, ProcessCall(Path("/nowhere/ca.crt")), 1.0, "secret")
        walk.operator = "operator-token"
        walk.token_keys = walk.prescription_keys = KEYS
        walk.patient, walk.stranger = PATIENT, STRANGER
        walk.appointment = Appointment(id="a1", patient="p1", practitioner="d1", status="booked")
        walk.consultation_id = "c1"
        walk.record_paths = ("/records/fhir/Observation/o1",)
        walk.prescription = Prescription(id="r1", patient="p1", document=DOCUMENT, status="active")
        walk.payment = Payment(
            id="y1", status="captured", amount=Amount(minor=2500, currency="EUR"), invoices=("2026-000001",)
        )
        walk.payment_key = "key-1"
        walk.payment_body = {"appointment_id": "a1", "payment_token": "tok_visa"}
        (step,) = (step for step in STEPS if step.name == name)
        result = await run((step,), walk)
        await edge.aclose()
        return result.steps[0]

    return asyncio.run(go())


def problem(status: int, slug: str = "refused") -> httpx.Response:
    return httpx.Response(status, json={"type": f"urn:vitalops:problem:{slug}", "detail": slug})


def strict(request: httpx.Request) -> httpx.Response:
    """A platform as it should be."""
    path, token = request.url.path, request.headers.get("authorization", "").removeprefix("Bearer ")
    if path.endswith(("/metrics", "/readyz", "/webhook")):
        return problem(404)
    if token not in (PATIENT.token, STRANGER.token):
        return problem(401)
    if path == "/prescription/v1/verify":
        genuine = json.loads(request.content)["document"] == DOCUMENT
        return httpx.Response(200, json={"genuine": genuine, "problem": "" if genuine else "forged"})
    if token == STRANGER.token:
        return problem(404)
    if path == "/prescription/v1/prescriptions":
        return problem(403)
    if request.method == "POST" and path == "/payment/v1/payments":
        return problem(422, refusals.REUSED_KEY)
    return httpx.Response(200, json=PAID)


def lax(request: httpx.Request) -> httpx.Response:
    """A platform that does whatever it is asked."""
    if request.url.path == "/prescription/v1/verify":
        return httpx.Response(200, json={"genuine": True, "problem": ""})
    return httpx.Response(200, json=PAID)


def test_names_are_unique_and_say_that_it_is_about_refusing() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 13
    assert all(name.startswith("refused: ") for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_attempt_passes_on_a_platform_that_refuses(name: str) -> None:
    result = attempt(name, strict)
    assert result.outcome is Outcome.PASSED, result.detail


@pytest.mark.parametrize("name", NAMES)
def test_an_attempt_fails_on_a_platform_that_does_not(name: str) -> None:
    assert attempt(name, lax).outcome is Outcome.FAILED


@pytest.mark.parametrize("name", [name for name in NAMES if "token" in name and name != "refused: no token"])
def test_a_platform_that_refuses_everybody_proves_nothing(name: str) -> None:
    result = attempt(name, lambda _: problem(401))
    assert result.outcome is Outcome.FAILED
    assert "says nothing" in result.detail


def test_a_replay_refused_for_another_reason_proves_nothing() -> None:
    def price_changed(request: httpx.Request) -> httpx.Response:
        return problem(422, "wrong-amount") if request.method == "POST" else httpx.Response(200, json=PAID)

    result = attempt("refused: a payment replayed with other parameters", price_changed)
    assert result.outcome is Outcome.FAILED
    assert "another reason" in result.detail


def test_a_replay_that_changes_the_payment_is_noticed() -> None:
    def refunds(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return problem(422, refusals.REUSED_KEY)
        return httpx.Response(200, json=PAID | {"status": "refunded"})

    result = attempt("refused: a payment replayed with other parameters", refunds)
    assert "not what it was before" in result.detail
