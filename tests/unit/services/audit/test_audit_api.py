"""The audit service: takes events once, from whom they concern, and tells when somebody was at its table."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from services.audit.service import SERVICE
from services.common.audit import record_audit
from services.common.auth import Principal
from services.common.testing import TokenSigner, assert_migrations_match
from services.consent.service import SERVICE as CONSENT


@pytest.fixture
def client(start: Callable[..., Any]) -> Any:
    return start(SERVICE)


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()), "occurred_at": "2026-01-15T10:00:00+01:00", "service": "consent", "region": "fr-par",
        "actor": f"actor-{number}", "actor_role": "patient", "action": "consent.granted",
        "resource": f"grants/{number}", "patient": f"patient-{number}", "outcome": "success", "trace_id": "",
        "detail": {"purpose": "care"},
    } | changes  # fmt: skip


def send(client: Any, signer: TokenSigner, *events: dict[str, Any], service: str = "consent") -> Any:
    headers = {"authorization": signer.headers("service", service)["authorization"]}
    return client.post("/v1/events", json={"events": list(events)}, headers=headers)


def reader(signer: TokenSigner) -> dict[str, str]:
    return signer.headers("operator", "auditor", scopes=["audit:read"])


def check(client: Any, signer: TokenSigner, **query: Any) -> Any:
    answer = client.get("/v1/chain/verify", params=query, headers=reader(signer))
    assert answer.status_code == 200
    return answer.json()


def test_events_are_appended_once(client: Any, signer: TokenSigner) -> None:
    first, second = event(1), event(2)
    assert send(client, signer, first).json()["appended"] == 1
    answer = send(client, signer, first, second, second).json()
    assert (answer["appended"], answer["known"]) == (1, 2)
    assert answer["head"]["sequence"] == 2
    assert check(client, signer) == {
        "intact": True, "checked": 2, "head": answer["head"], "broken_at": None, "problem": "",
    }  # fmt: skip


def test_a_service_speaks_for_itself_only(client: Any, signer: TokenSigner) -> None:
    assert send(client, signer, event(), service="payment").status_code == 403
    for role in ("patient", "practitioner", "operator"):
        headers = signer.headers(role, "consent", scopes=["audit:read"])
        assert client.post("/v1/events", json={"events": [event()]}, headers=headers).status_code == 403
    assert check(client, signer)["checked"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": "Jeanne Dupont"},
        {"patient": "Jeanne Dupont"},
        {"resource": "Jeanne Dupont"},
        {"detail": {"note": "chest pain; (naïve)"}},
        {"occurred_at": "2026-01-15T10:00:00"},
        {"outcome": "maybe"},
        {"name": "Jeanne"},
    ],
)
def test_what_could_be_a_sentence_about_somebody_is_refused(
    client: Any, signer: TokenSigner, changes: Any
) -> None:
    answer = send(client, signer, event(**changes))
    assert answer.status_code == 422
    assert "Jeanne" not in answer.text


def test_searching(client: Any, signer: TokenSigner) -> None:
    send(client, signer, *(event(number % 3) for number in range(9)))
    found = client.get("/v1/events", params={"patient": "patient-1"}, headers=reader(signer)).json()
    assert [record["event"]["resource"] for record in found["records"]] == ["grants/1"] * 3
    page = client.get(
        "/v1/events", params={"limit": 4, "action": "consent.granted"}, headers=reader(signer)
    ).json()
    assert (len(page["records"]), page["next_after"]) == (4, 4)
    rest = client.get(
        "/v1/events", params={"after": 4, "action": "consent.granted"}, headers=reader(signer)
    ).json()
    assert [record["sequence"] for record in rest["records"]] == [5, 6, 7, 8, 9]
    assert rest["next_after"] is None


def test_reading_is_on_record_too(client: Any, signer: TokenSigner) -> None:
    send(client, signer, event())
    client.get("/v1/events", params={"patient": "patient-1"}, headers=reader(signer))
    found = client.get("/v1/events", params={"action": "audit.read"}, headers=reader(signer)).json()
    (record,) = found["records"]
    assert (record["event"]["actor"], record["event"]["patient"]) == ("auditor", "patient-1")
    assert check(client, signer)["intact"] is True


@pytest.mark.parametrize("path", ["/v1/events", "/v1/chain/head", "/v1/chain/verify"])
def test_the_trail_is_for_auditors(client: Any, signer: TokenSigner, path: str) -> None:
    for role in ("patient", "practitioner", "service", "operator"):
        assert client.get(path, headers=signer.headers(role)).status_code == 403
    assert client.get(path, headers=reader(signer)).status_code == 200


@pytest.mark.parametrize(
    ("statement", "place", "problem"),
    [
        (
            "UPDATE audit_record SET document = replace(document, 'success', 'denied') WHERE sequence = 3",
            3,
            "content",
        ),
        ("UPDATE audit_record SET document = 'rubbish' WHERE sequence = 3", 3, "content"),
        ("UPDATE audit_record SET digest = previous WHERE sequence = 2", 2, "content"),
        ("DELETE FROM audit_record WHERE sequence = 4", 4, "missing"),
        ("DELETE FROM audit_record WHERE sequence = 1", 1, "missing"),
        ("UPDATE audit_record SET patient = 'somebody-else' WHERE sequence = 5", 5, "search fields"),
    ],
)
def test_tampering_is_found_and_placed(
    client: Any, signer: TokenSigner, statement: str, place: int, problem: str
) -> None:
    send(client, signer, *(event(number) for number in range(6)))
    assert check(client, signer)["intact"] is True
    with client.app.state.context.database.engine.begin() as connection:
        connection.execute(text(statement))
    found = check(client, signer)
    assert (found["intact"], found["broken_at"]) == (False, place)
    assert problem in found["problem"]


def test_a_checkpoint_sees_what_a_consistent_rewrite_hides(client: Any, signer: TokenSigner) -> None:
    send(client, signer, event(1), event(2))
    noted = client.get("/v1/chain/head", headers=reader(signer)).json()
    send(client, signer, event(3))
    query = {"checkpoint_sequence": noted["sequence"], "checkpoint_digest": noted["digest"]}
    assert check(client, signer, **query)["checked"] == 1
    # Somebody with the table in their hands makes a whole new chain.
    with client.app.state.context.database.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_record"))
    send(client, signer, event(7), event(8), event(9))
    assert check(client, signer)["intact"] is True
    found = check(client, signer, **query)
    assert (found["intact"], found["broken_at"]) == (False, 2)


def test_a_checkpoint_needs_both_halves(client: Any, signer: TokenSigner) -> None:
    answer = client.get("/v1/chain/verify?checkpoint_sequence=1", headers=reader(signer))
    assert answer.status_code == 422


def test_batches_have_a_size(client: Any, signer: TokenSigner) -> None:
    assert send(client, signer).status_code == 422
    assert send(client, signer, *(event() for _ in range(101))).status_code == 422
    assert send(client, signer, *(event() for _ in range(100))).json()["appended"] == 100


def test_what_services_record_is_what_audit_takes(
    client: Any, start: Callable[..., Any], signer: TokenSigner, platform: Any
) -> None:
    other = start(CONSENT)
    principal = Principal(str(uuid.uuid4()), "patient")
    with other.app.state.context.unit_of_work() as session:
        record_audit(
            session, principal, "consent.granted", "grants/1", patient=principal.subject, detail={"a": "b"}
        )
        record_audit(session, None, "signin.refused", "signin", outcome="denied")
    other.deliver()
    assert send(client, signer, *platform.audit).json()["appended"] == 2


def test_migrations_make_what_the_models_describe(tmp_path: Path) -> None:
    assert_migrations_match(SERVICE, tmp_path)
