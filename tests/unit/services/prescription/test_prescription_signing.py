"""The signature: genuine documents verify with the public keys alone, altered or foreign ones never do."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, KeySet

from services.prescription.rules import (
    BadPrescription,
    Item,
    Prescription,
    Status,
    StatusRefused,
    next_status,
    sign,
    verify,
)

ISSUED = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
KEY = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"}, private=True)
OTHER = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"}, private=True)
PUBLIC = KeySet.import_key_set({"keys": [KEY.as_dict(private=False)]})  # type: ignore[typeddict-item]
PRESCRIPTION = Prescription(
    id="rx-1",
    issuer="https://platform.example/prescription",
    patient="pat-1",
    prescriber="doc-1",
    consultation="c-1",
    items=(Item("ATC", "J01CA04", "1 capsule three times a day for 6 days", 18),),
    issued=ISSUED,
    expires=ISSUED + timedelta(days=90),
)
DOCUMENT = sign(PRESCRIPTION, KEY, "k1")


def test_a_third_party_verifies_with_the_public_keys_alone() -> None:
    assert all("d" not in key for key in PUBLIC.as_dict(private=False)["keys"])
    assert verify(DOCUMENT, PUBLIC) == PRESCRIPTION


def test_an_older_key_still_verifies_after_rotation() -> None:
    newer = ECKey.generate_key("P-256", {"kid": "k2"}, private=False)
    both = KeySet.import_key_set({"keys": [newer.as_dict(), KEY.as_dict(private=False)]})  # type: ignore[typeddict-item]
    assert verify(DOCUMENT, both) == PRESCRIPTION


@given(st.data())
def test_any_altered_character_is_detected(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(DOCUMENT) - 1))
    character = data.draw(st.sampled_from("ABCDEFabcdef0123456789-_."))
    altered = DOCUMENT[:place] + character + DOCUMENT[place + 1 :]
    if altered == DOCUMENT:
        return
    try:
        got = verify(altered, PUBLIC)
    except BadPrescription:
        return
    # The last character of a base64url part carries unused bits: such a change alters no signed byte.
    assert _decoded(altered) == _decoded(DOCUMENT)
    assert got == PRESCRIPTION


def _decoded(document: str) -> list[bytes]:
    return [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in document.split(".")]


def _forge(header: dict[str, Any], claims: dict[str, Any] | bytes, key: ECKey = KEY) -> str:
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(header, payload, key, algorithms=["ES256"])


def _unsigned() -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'prescription+jws'})}.{part(PRESCRIPTION.claims())}."


GOOD = {"alg": "ES256", "kid": "k1", "typ": "prescription+jws"}


@pytest.mark.parametrize(
    "document",
    [
        "",
        "not.a.document",
        "a.b",
        DOCUMENT.rsplit(".", 1)[0] + ".",
        _unsigned(),
        sign(PRESCRIPTION, OTHER, "k1"),
        sign(PRESCRIPTION, KEY, "unknown"),
        _forge(GOOD | {"typ": "at+jwt"}, PRESCRIPTION.claims()),
        _forge({"alg": "ES256", "kid": "k1"}, PRESCRIPTION.claims()),
        _forge(GOOD, b"not JSON"),
        _forge(GOOD, b"[1]"),
        _forge(GOOD, {k: v for k, v in PRESCRIPTION.claims().items() if k != "items"}),
        _forge(GOOD, PRESCRIPTION.claims() | {"items": [{"code": "J01CA04"}]}),
        _forge(GOOD, PRESCRIPTION.claims() | {"iat": "yesterday"}),
    ],
)
def test_forged_and_foreign_documents_are_refused(document: str) -> None:
    with pytest.raises(BadPrescription):
        verify(document, PUBLIC)


def test_the_payload_of_one_prescription_does_not_fit_anothers_signature() -> None:
    another = sign(Prescription(**{**_fields(PRESCRIPTION), "patient": "pat-2"}), KEY, "k1")
    head, _, signature = DOCUMENT.split(".")
    with pytest.raises(BadPrescription):
        verify(f"{head}.{another.split('.')[1]}.{signature}", PUBLIC)


def _fields(prescription: Prescription) -> dict[str, Any]:
    return {name: getattr(prescription, name) for name in Prescription.__dataclass_fields__}


@pytest.mark.parametrize("wanted", [Status.REVOKED, Status.DISPENSED])
def test_an_active_prescription_is_revoked_or_dispensed_once(wanted: Status) -> None:
    assert next_status(Status.ACTIVE, wanted, expired=False) is wanted
    for again in Status:
        with pytest.raises(StatusRefused):
            next_status(wanted, again, expired=False)


def test_an_expired_prescription_is_not_dispensed_but_may_be_revoked() -> None:
    with pytest.raises(StatusRefused, match="expired"):
        next_status(Status.ACTIVE, Status.DISPENSED, expired=True)
    assert next_status(Status.ACTIVE, Status.REVOKED, expired=True) is Status.REVOKED
