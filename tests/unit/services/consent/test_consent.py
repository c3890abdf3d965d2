"""Consent: bound to a purpose and to the words shown, withdrawn from its moment on, never forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.testing import FixedClock, TokenSigner
from services.consent.purposes import PURPOSES
from services.consent.rules import Period, decide, proof_of
from services.consent.service import SERVICE

PATIENT, PRACTITIONER = str(uuid.uuid4()), str(uuid.uuid4())


@pytest.fixture
def client(start: Callable[..., Any]) -> Any:
    return start(SERVICE)


def grant(client: Any, signer: TokenSigner, **changes: Any) -> Any:
    body = {"practitioner": PRACTITIONER, "purpose": "care", "text_version": 1} | changes
    return client.post("/v1/grants", json=body, headers=signer.headers("patient", PATIENT))


def allowed(client: Any, signer: TokenSigner, **changes: str) -> Any:
    query = {"patient": PATIENT, "practitioner": PRACTITIONER, "purpose": "care"} | changes
    answer = client.get("/v1/decisions", params=query, headers=signer.headers("service", "records"))
    assert answer.status_code == 200
    return answer.json()


def test_from_grant_to_withdrawal(client: Any, signer: TokenSigner, clock: FixedClock, platform: Any) -> None:
    assert allowed(client, signer)["reason"] == "never-granted"
    given = grant(client, signer)
    assert given.status_code == 201
    made = given.json()
    assert given.headers["location"].endswith(made["id"])
    decision = allowed(client, signer)
    assert (decision["allowed"], decision["grant"]) == (True, made["id"])
    clock.advance(hours=1)
    withdrawn = client.post(f"/v1/grants/{made['id']}/withdrawal", headers=signer.headers("patient", PATIENT))
    assert withdrawn.status_code == 201
    assert allowed(client, signer) == {
        "allowed": False, "reason": "withdrawn", "grant": None, "decided_at": "2026-01-15T10:00:00Z",
    }  # fmt: skip
    again = client.post(f"/v1/grants/{made['id']}/withdrawal", headers=signer.headers("patient", PATIENT))
    assert again.status_code == 409
    assert grant(client, signer).status_code == 201
    assert allowed(client, signer)["allowed"] is True
    headers = signer.headers("patient", PATIENT)
    assert len(client.get("/v1/grants", headers=headers).json()["grants"]) == 2
    assert len(client.get("/v1/grants?active=true", headers=headers).json()["grants"]) == 1
    client.deliver()
    assert [event["action"] for event in platform.audit] == [
        "consent.granted",
        "consent.withdrawn",
        "consent.granted",
    ]
    assert {event["patient"] for event in platform.audit} == {PATIENT}


def test_a_consent_covers_nothing_else(client: Any, signer: TokenSigner) -> None:
    grant(client, signer)
    for changes in (
        {"purpose": "recording"},
        {"patient": str(uuid.uuid4())},
        {"practitioner": str(uuid.uuid4())},
    ):
        assert allowed(client, signer, **changes)["allowed"] is False


def test_it_can_be_proved_later(client: Any, signer: TokenSigner) -> None:
    headers = signer.headers("patient", PATIENT, jti="the-sign-in")
    body = {"practitioner": PRACTITIONER, "purpose": "care", "text_version": 1}
    made = client.post("/v1/grants", json=body, headers=headers).json()
    assert made["text_sha256"] == PURPOSES["care"].sha256
    facts = {
        "grant_id": made["id"], "patient": PATIENT, "practitioner": PRACTITIONER, "purpose": "care",
        "text_version": 1, "text_sha256": PURPOSES["care"].sha256,
        "granted_at": datetime.fromisoformat(made["granted_at"]), "token_id": "the-sign-in",
    }  # fmt: skip
    assert proof_of(**facts) == made["proof"]
    assert proof_of(**(facts | {"patient": "somebody else"})) != made["proof"]


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"purpose": "marketing"}, "unknown-purpose"),
        ({"text_version": 2}, "outdated-text"),
        ({"text_version": 0}, "validation"),
        ({"practitioner": "Dr Dupont"}, "validation"),
        ({"more": 1}, "validation"),
    ],
)
def test_what_cannot_be_consented_to(client: Any, signer: TokenSigner, changes: Any, slug: str) -> None:
    answer = grant(client, signer, **changes)
    assert (answer.status_code, answer.json()["type"]) == (422, f"urn:vitalops:problem:{slug}")


def test_twice_is_a_conflict(client: Any, signer: TokenSigner) -> None:
    assert [grant(client, signer).status_code for _ in range(2)] == [201, 409]


def test_nobody_elses_consent_can_be_seen_or_withdrawn(client: Any, signer: TokenSigner) -> None:
    made = grant(client, signer).json()
    stranger = signer.headers("patient", str(uuid.uuid4()))
    assert client.get(f"/v1/grants/{made['id']}", headers=stranger).status_code == 404
    assert client.post(f"/v1/grants/{made['id']}/withdrawal", headers=stranger).status_code == 404
    assert client.get("/v1/grants", headers=stranger).json() == {"grants": []}
    owner = signer.headers("patient", PATIENT)
    assert client.get(f"/v1/grants/{made['id']}", headers=owner).json() == made


@pytest.mark.parametrize("role", ["patient", "practitioner", "operator"])
def test_decisions_are_for_services(client: Any, signer: TokenSigner, role: str) -> None:
    query = {"patient": PATIENT, "practitioner": PRACTITIONER, "purpose": "care"}
    assert client.get("/v1/decisions", params=query, headers=signer.headers(role)).status_code == 403


def test_practitioners_cannot_consent_for_patients(client: Any, signer: TokenSigner) -> None:
    body = {"practitioner": PRACTITIONER, "purpose": "care", "text_version": 1}
    assert client.post("/v1/grants", json=body, headers=signer.headers("practitioner")).status_code == 403


def test_the_words_are_there_to_be_shown(client: Any, signer: TokenSigner) -> None:
    shown = client.get("/v1/purposes", headers=signer.headers("patient")).json()
    assert {purpose["name"] for purpose in shown} == set(PURPOSES)
    assert all(purpose["text"] and len(purpose["sha256"]) == 64 for purpose in shown)


START = datetime(2026, 1, 1, tzinfo=UTC)
moments = st.integers(min_value=0, max_value=100).map(lambda hours: START + timedelta(hours=hours))
periods = st.tuples(moments, st.none() | st.integers(min_value=0, max_value=50)).map(
    lambda pair: Period(pair[0], None if pair[1] is None else pair[0] + timedelta(hours=pair[1]))
)


@given(st.lists(periods, max_size=5), moments)
def test_a_decision_is_the_union_of_half_open_periods(grants: list[Period], at: datetime) -> None:
    covered = any(p.granted_at <= at and (p.withdrawn_at is None or at < p.withdrawn_at) for p in grants)
    decision = decide(grants, at)
    assert decision.allowed == covered
    assert (decision.reason == "never-granted") == all(p.granted_at > at for p in grants)
    assert decide(list(reversed(grants)), at) == decision
