"""Issuing, third-party verification, revocation, and who sees what."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, KeySet
from sqlalchemy import update

from services.common.testing import FixedClock, TokenSigner, assert_migrations_match
from services.prescription.models import PrescriptionRow
from services.prescription.rules import verify
from services.prescription.service import KEYS_SECRET, SERVICE

PATIENT, OTHER, DOCTOR, OTHER_DOCTOR = (str(uuid.uuid4()) for _ in range(4))
ITEM = {
    "system": "ATC",
    "code": "J01CA04",
    "dosage": "1 capsule three times a day for 6 days",
    "quantity": 18,
}


def ring_file(*not_before: float) -> str:
    return json.dumps(
        [
            {
                "kid": f"k{number}",
                "private_pem": ECKey.generate_key("P-256").as_pem(private=True).decode(),
                "not_before": time,
            }
            for number, time in enumerate(not_before)
        ]
    )


@pytest.fixture
def client(start: Any, platform: Any, tmp_path: Path) -> Any:
    (tmp_path / KEYS_SECRET).write_text(ring_file(0))

    def consultation(request: httpx.Request) -> httpx.Response:
        identifier = request.url.path.rsplit("/", 1)[1]
        state = "booked" if identifier.startswith("0") else "completed"
        return httpx.Response(200, json={"patient": PATIENT, "practitioner": DOCTOR, "state": state})

    platform.answers["consultation/v1/consultations/"] = consultation
    return start(SERVICE)


def a_consultation(first: str = "a") -> str:
    return first + str(uuid.uuid4())[1:]


def prescribe(
    client: Any, signer: TokenSigner, doctor: str = DOCTOR, *, mfa: bool = True, **change: Any
) -> Any:
    body = {"consultation_id": a_consultation(), "items": [ITEM]} | change
    return client.post(
        "/v1/prescriptions", json=body, headers=signer.headers("practitioner", doctor, mfa=mfa)
    )


def check(client: Any, signer: TokenSigner, document: str) -> Any:
    return client.post(
        "/v1/verify", json={"document": document}, headers=signer.headers("service", "pharmacy")
    ).json()


def test_migrations_make_the_models_tables(tmp_path: Path) -> None:
    assert_migrations_match(SERVICE, tmp_path)


def test_a_third_party_verifies_a_prescription_with_the_published_keys(
    client: Any, signer: TokenSigner, platform: Any
) -> None:
    issued = prescribe(client, signer)
    assert issued.status_code == 201
    published = client.get("/.well-known/prescription-jwks.json")
    assert published.status_code == 200
    assert '"d"' not in published.text
    content = verify(issued.json()["document"], KeySet.import_key_set(published.json()))
    assert (content.patient, content.prescriber, content.items[0].code) == (PATIENT, DOCTOR, "J01CA04")
    assert check(client, signer, issued.json()["document"]) == {
        "genuine": True,
        "problem": "",
        "id": issued.json()["id"],
        "status": "active",
        "expired": False,
    }
    client.deliver()
    assert [event["action"] for event in platform.audit] == ["prescription.issued"]
    assert "J01CA04" not in json.dumps(platform.messages)


def test_an_altered_document_is_not_genuine(client: Any, signer: TokenSigner) -> None:
    head, payload, signature = prescribe(client, signer).json()["document"].split(".")
    changed = payload[:-4] + ("AAAA" if payload[-4:] != "AAAA" else "BBBB")
    answer = check(client, signer, f"{head}.{changed}.{signature}")
    assert (answer["genuine"], answer["status"]) == (False, None)


def test_what_the_database_was_made_to_say_is_not_shown(
    client: Any, signer: TokenSigner, platform: Any
) -> None:
    one, other = prescribe(client, signer).json(), prescribe(client, signer).json()
    head, _, signature = one["document"].split(".")
    forged = f"{head}.{other['document'].split('.')[1]}.{signature}"
    with client.app.state.context.database.transaction() as session:
        session.execute(
            update(PrescriptionRow).where(PrescriptionRow.id == uuid.UUID(one["id"])).values(document=forged)
        )
    shown = client.get(f"/v1/prescriptions/{one['id']}", headers=signer.headers("patient", PATIENT))
    assert (shown.status_code, shown.json()["type"]) == (500, "urn:vitalops:problem:damaged")
    assert "J01CA04" not in shown.text
    client.deliver()
    assert "prescription.damaged" in [event["action"] for event in platform.audit]


def test_a_second_factor_is_needed(client: Any, signer: TokenSigner) -> None:
    assert prescribe(client, signer, mfa=False).status_code == 403


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"consultation_id": a_consultation("0")}, 409),
        ({"items": []}, 422),
        ({"items": [ITEM | {"code": "aspirin"}]}, 422),
        ({"items": [ITEM | {"quantity": 0}]}, 422),
        ({"valid_days": 366}, 422),
    ],
)
def test_what_cannot_be_prescribed_is_refused(
    client: Any, signer: TokenSigner, change: dict[str, Any], status: int
) -> None:
    assert prescribe(client, signer, **change).status_code == status


def test_only_the_consultations_practitioner_prescribes(client: Any, signer: TokenSigner) -> None:
    refused = prescribe(client, signer, OTHER_DOCTOR)
    assert refused.json()["type"] == "urn:vitalops:problem:unknown-consultation"
    body = {"consultation_id": a_consultation(), "items": [ITEM]}
    assert (
        client.post("/v1/prescriptions", json=body, headers=signer.headers("patient", PATIENT)).status_code
        == 403
    )


def test_a_revoked_prescription_stays_in_the_archive_and_says_so(client: Any, signer: TokenSigner) -> None:
    issued = prescribe(client, signer).json()
    path = f"/v1/prescriptions/{issued['id']}"
    body, mine = {"reason": "interaction"}, signer.headers("practitioner", DOCTOR)
    assert (
        client.post(
            f"{path}/revocation", json=body, headers=signer.headers("practitioner", OTHER_DOCTOR)
        ).status_code
        == 404
    )
    for _ in range(2):
        assert client.post(f"{path}/revocation", json=body, headers=mine).json()["status"] == "revoked"
    assert check(client, signer, issued["document"])["status"] == "revoked"
    assert (
        client.get(path, headers=signer.headers("patient", PATIENT)).json()["document"] == issued["document"]
    )
    dispensed = client.post(
        f"{path}/dispensing",
        json={"document": issued["document"]},
        headers=signer.headers("service", "pharmacy"),
    )
    assert dispensed.status_code == 409


def test_a_prescription_is_dispensed_once_to_who_presents_it(client: Any, signer: TokenSigner) -> None:
    issued = prescribe(client, signer).json()
    path, pharmacy = f"/v1/prescriptions/{issued['id']}", signer.headers("service", "pharmacy")
    assert (
        client.post(f"{path}/dispensing", json={"document": "another"}, headers=pharmacy).status_code == 422
    )
    answers = [
        client.post(f"{path}/dispensing", json={"document": issued["document"]}, headers=pharmacy).status_code
        for _ in range(2)
    ]
    assert answers == [200, 409]
    status = client.get(f"{path}/status", headers=pharmacy).json()
    assert status == {"id": issued["id"], "status": "dispensed", "expires_at": issued["expires_at"]}


def test_an_expired_prescription_is_genuine_but_not_dispensed(
    client: Any, signer: TokenSigner, clock: FixedClock
) -> None:
    issued = prescribe(client, signer, valid_days=1).json()
    clock.advance(days=2)
    answer = check(client, signer, issued["document"])
    assert (answer["genuine"], answer["expired"]) == (True, True)
    body, pharmacy = {"document": issued["document"]}, signer.headers("service", "pharmacy")
    assert (
        client.post(f"/v1/prescriptions/{issued['id']}/dispensing", json=body, headers=pharmacy).status_code
        == 409
    )


def test_strangers_see_nothing(client: Any, signer: TokenSigner, platform: Any) -> None:
    identifier = prescribe(client, signer).json()["id"]
    for role, subject in (("patient", OTHER), ("practitioner", OTHER_DOCTOR)):
        stranger = signer.headers(role, subject)
        assert client.get(f"/v1/prescriptions/{identifier}", headers=stranger).status_code == 404
        assert client.get("/v1/prescriptions", headers=stranger).json()["prescriptions"] == []
    for role, subject in (("patient", PATIENT), ("practitioner", DOCTOR)):
        party = signer.headers(role, subject)
        assert client.get(f"/v1/prescriptions/{identifier}", headers=party).status_code == 200
        assert len(client.get("/v1/prescriptions", headers=party).json()["prescriptions"]) == 1
    client.deliver()
    assert {event["actor"] for event in platform.audit if event["outcome"] == "denied"} == {
        OTHER,
        OTHER_DOCTOR,
    }


def test_a_new_key_signs_without_a_restart_and_old_documents_stay_genuine(
    client: Any, signer: TokenSigner, clock: FixedClock, tmp_path: Path
) -> None:
    def kids() -> list[str]:
        return [key["kid"] for key in client.get("/.well-known/prescription-jwks.json").json()["keys"]]

    def signed_by(document: str) -> str:
        return jws.extract_compact(document.encode()).headers()["kid"]

    path = tmp_path / KEYS_SECRET
    old = prescribe(client, signer).json()
    entries = json.loads(path.read_text())
    (successor,) = json.loads(ring_file(clock.now().timestamp() + 3600))
    path.write_text(json.dumps([*entries, successor | {"kid": "next"}]))
    assert kids() == ["k0", "next"]
    assert signed_by(prescribe(client, signer).json()["document"]) == "k0", "published before it signs"
    clock.advance(hours=1)
    new = prescribe(client, signer).json()
    assert [signed_by(issued["document"]) for issued in (old, new)] == ["k0", "next"]
    for issued in (old, new):
        assert check(client, signer, issued["document"])["genuine"]
        shown = client.get(f"/v1/prescriptions/{issued['id']}", headers=signer.headers("patient", PATIENT))
        assert shown.json()["document"] == issued["document"]
    path.write_text("[")
    assert kids() == ["k0", "next"], "the last good version stays"


def signatures(client: Any) -> dict[str, float]:
    """Attempts of real traffic, by outcome."""
    found = re.findall(
        r'vitalops_prescription_signatures_total\{outcome="(\w+)",traffic="real"\} ([\d.]+)',
        client.get("/metrics").text,
    )
    return {outcome: float(value) for outcome, value in found}


def test_signatures_are_counted_and_what_may_not_be_prescribed_is_not(
    client: Any, signer: TokenSigner
) -> None:
    assert signatures(client) == {"signed": 0, "failed": 0}
    assert prescribe(client, signer).status_code == 201
    assert prescribe(client, signer, OTHER_DOCTOR).status_code == 422
    assert prescribe(client, signer, consultation_id=a_consultation("0")).status_code == 409
    assert signatures(client) == {"signed": 1, "failed": 0}


def test_what_keeps_a_prescription_from_being_signed_is_a_failure(
    client: Any, signer: TokenSigner, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.answers["consultation/v1/consultations/"] = lambda _: httpx.Response(503)
    assert prescribe(client, signer).status_code == 503
    assert signatures(client) == {"signed": 0, "failed": 1}

    def broken(*_: Any) -> str:
        raise RuntimeError("no such curve")

    platform.answers["consultation/v1/consultations/"] = lambda _: httpx.Response(
        200, json={"patient": PATIENT, "practitioner": DOCTOR, "state": "completed"}
    )
    monkeypatch.setattr("services.prescription.api.sign", broken)
    assert prescribe(client, signer).status_code == 500
    assert signatures(client) == {"signed": 0, "failed": 2}
