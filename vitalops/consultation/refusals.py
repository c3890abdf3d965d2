"""The negative walk: what must be refused, each attempt a step of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import httpx

from vitalops.consultation import tokens
from vitalops.consultation.http import Partial, bearer, fresh_key, read, told
from vitalops.consultation.state import Payment, Walk
from vitalops.consultation.walk import Step, StepFailed
from vitalops.conventions import HEADER_IDEMPOTENCY_KEY

Forge = Callable[[Walk, str], str]

DENIED: Final = (403, 404)
"""To a stranger, what exists and what does not look the same; either status tells nothing."""

OTHER_PAYMENT_TOKEN: Final = "tok_mastercard"
REUSED_KEY: Final = "idempotency-key-reused"


def _must_refuse(response: httpx.Response, expect: tuple[int, ...], what: str) -> str:
    """Raises StepFailed unless `response` has one of the statuses in `expect`."""
    if response.status_code not in expect:
        wanted = " or ".join(str(status) for status in expect)
        raise StepFailed(f"{what} was answered {told(response)}, not {wanted}")
    return told(response)


def _own_consultation(walk: Walk) -> str:
    return f"/consultation/v1/consultations/{walk.consultation_id}"


async def no_token(walk: Walk) -> str:
    return _must_refuse(
        await walk.edge.send("GET", _own_consultation(walk)), (401,), "a request without a token"
    )


def _token_step(name: str, forge: Forge) -> Step[Walk]:
    """The patient's own resource, asked for with a token that is not good."""

    async def act(walk: Walk) -> str:
        path = _own_consultation(walk)
        genuine = await walk.edge.send("GET", path, headers=bearer(walk.patient.token))
        if genuine.status_code != 200:
            # Without this, any failure would pass for a refusal.
            raise StepFailed(f"the genuine token was answered {told(genuine)}, so the attempt says nothing")
        response = await walk.edge.send("GET", path, headers=bearer(forge(walk, walk.patient.token)))
        return _must_refuse(response, (401,), "the token")

    return Step(f"refused: {name}", act)


async def strangers_view(walk: Walk) -> str:
    """Another patient asks for everything that this consultation left behind."""
    assert walk.appointment is not None
    paths = (
        *walk.record_paths,
        _own_consultation(walk),
        f"/scheduling/v1/appointments/{walk.appointment.id}",
        f"/prescription/v1/prescriptions/{walk.prescription.id}",
        f"/payment/v1/payments/{walk.payment.id}",
    )
    for path in paths:
        response = await walk.edge.send("GET", path, headers=bearer(walk.stranger.token))
        _must_refuse(response, DENIED, f"another patient's GET {path}")
    return f"{len(paths)} resources, none shown"


async def strangers_join(walk: Walk) -> str:
    response = await walk.edge.send(
        "POST", f"{_own_consultation(walk)}/join", headers=bearer(walk.stranger.token)
    )
    return _must_refuse(response, DENIED, "another patient's attempt to join")


async def patient_prescribes(walk: Walk) -> str:
    item = {"system": "ATC", "code": "N02AA01", "dosage": "as much as I like", "quantity": 1000}
    response = await walk.edge.send(
        "POST",
        "/prescription/v1/prescriptions",
        headers=bearer(walk.patient.token) | fresh_key(),
        json={"consultation_id": walk.consultation_id, "items": [item]},
    )
    return _must_refuse(response, (403,), "a patient's own prescription")


class _Checked(Partial):
    genuine: bool
    problem: str


async def forged_prescription(walk: Walk) -> str:
    """A third party with the key set, and the service itself, must see through each forgery."""
    genuine = walk.prescription.document
    more = [{"system": "ATC", "code": "N02AA01", "dosage": "as needed", "quantity": 1000}]
    forgeries: Mapping[str, str] = {
        "altered": tokens.altered(genuine, items=more),
        "signed by a stranger": tokens.signed_by_stranger(genuine, items=more),
        "unsigned": tokens.unsigned(genuine, items=more),
        "keyed by HMAC": tokens.keyed_by_hmac(genuine, walk.prescription_keys, items=more),
    }
    if not (await _checked(walk, genuine)).genuine:
        raise StepFailed("the service does not accept the genuine prescription, so the attempt says nothing")
    for name, document in forgeries.items():
        try:
            tokens.checked_prescription(document, walk.prescription_keys)
        except tokens.Refused:
            pass
        else:
            raise StepFailed(f"the published keys accept a prescription that is {name}")
        if (await _checked(walk, document)).genuine:
            raise StepFailed(f"the service takes a prescription for genuine that is {name}")
    return f"{', '.join(forgeries)}: none accepted"


async def _checked(walk: Walk, document: str) -> _Checked:
    response = await walk.edge.ask(
        "POST",
        "/prescription/v1/verify",
        expect=(200, 422),
        headers=bearer(walk.stranger.token),
        json={"document": document},
    )
    if response.status_code == 422:
        return _Checked(genuine=False, problem=told(response))
    return read(_Checked, response)


async def replayed_payment(walk: Walk) -> str:
    """The payment's own key with other parameters: neither a second payment nor a change of the first.

    Only the means of payment differs, so that nothing but the key can be the reason to refuse it.
    """
    changed = walk.payment_body | {"payment_token": OTHER_PAYMENT_TOKEN}
    headers = bearer(walk.patient.token) | {HEADER_IDEMPOTENCY_KEY: walk.payment_key}
    response = await walk.edge.send("POST", "/payment/v1/payments", headers=headers, json=changed)
    seen = _must_refuse(response, (422,), "a payment replayed with other parameters")
    if REUSED_KEY not in response.text:
        raise StepFailed(f"a replayed payment was refused for another reason: {seen}")
    again = await walk.edge.get(Payment, f"/payment/v1/payments/{walk.payment.id}", walk.patient.token)
    if again != walk.payment:
        raise StepFailed("the payment is not what it was before the replay")
    return seen


async def unsigned_webhook(walk: Walk) -> str:
    """A media event from outside, with a good access token in place of the media server's signature."""
    event = {"event": "room_finished", "id": "EV_forged", "room": {"name": walk.consultation_id}}
    response = await walk.edge.send(
        "POST", "/consultation/v1/livekit/webhook", headers=bearer(walk.patient.token), json=event
    )
    return _must_refuse(response, (401, 403, 404), "a forged media event")


async def inner_endpoints(walk: Walk) -> str:
    for path in ("/identity/metrics", "/identity/readyz", "/records/metrics"):
        response = await walk.edge.send("GET", path, headers=bearer(walk.operator))
        _must_refuse(response, (401, 403, 404), f"GET {path} from outside")
    return "metrics and readiness are not for the outside"


def _attempt(name: str, act: Callable[[Walk], Awaitable[str]]) -> Step[Walk]:
    return Step(f"refused: {name}", act)


def steps(expire: Forge) -> tuple[Step[Walk], ...]:
    """`expire` makes a token that is genuine but expired, which needs the platform's own key."""
    return (
        _attempt("no token", no_token),
        _token_step("an expired token", expire),
        _token_step("a token without a signature", lambda _, token: tokens.unsigned(token)),
        _token_step("a token signed by a stranger", lambda _, token: tokens.signed_by_stranger(token)),
        _token_step(
            "a token keyed by HMAC", lambda walk, token: tokens.keyed_by_hmac(token, walk.token_keys)
        ),
        _token_step("a token with another role", lambda _, token: tokens.altered(token, role="operator")),
        _attempt("another patient's record", strangers_view),
        _attempt("another patient's call", strangers_join),
        _attempt("a prescription by a patient", patient_prescribes),
        _attempt("a forged prescription", forged_prescription),
        _attempt("a payment replayed with other parameters", replayed_payment),
        _attempt("a media event from outside", unsigned_webhook),
        _attempt("inner endpoints from outside", inner_endpoints),
    )
