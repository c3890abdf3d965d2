"""Enrolment, what others may ask about people, and that nothing about them leaks into logs or other services."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
import structlog
from sqlalchemy import select

from services.common.logs import configure_logging
from services.common.tables import IDEMPOTENCY
from services.common.testing import TokenSigner
from services.identity.crypto import Passwords
from services.identity.models import Person

PERSON = {"given_name": "Camille", "family_name": "Exemple", "email": "c@example.org", "password": "x" * 12}


def register(http: Any, key: str = "a-fresh-key", **changes: Any) -> Any:
    return http.post("/v1/patients", json=PERSON | changes, headers={"idempotency-key": key})


def test_registering_twice_with_one_key_is_once(http: Any) -> None:
    first, second = register(http), register(http)
    assert first.status_code == 201
    assert first.content == second.content
    assert set(first.json()) == {"id", "role"}
    assert register(http, given_name="Other").status_code == 422
    assert register(http, key="another-key").status_code == 409
    assert register(http, key="another-key", email="C@EXAMPLE.org").status_code == 409


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "Kurzwort"},
        {"password": "x" * 129},
        {"email": "no address"},
        {"email": "a@b"},
        {"email": "Camille <c@example.org>"},
        {"given_name": ""},
        {"family_name": "a\nb"},
        {"birth_date": "2200-01-01"},
        {"role": "practitioner"},
    ],
)
def test_unusable_registrations(http: Any, changes: Any) -> None:
    answer = register(http, **changes)
    assert answer.status_code == 422
    assert not (value := str(next(iter(changes.values())))) or value not in answer.text


def test_practitioners_are_enrolled_by_operators_only(http: Any, signer: TokenSigner) -> None:
    body = {key: value for key, value in PERSON.items() if key != "password"}
    for headers in (
        signer.headers("patient", scopes=["practitioners:enrol"]),
        signer.headers("service", scopes=["practitioners:enrol"]),
        signer.headers("operator"),
    ):
        assert http.post("/v1/practitioners", json=body, headers=headers).status_code == 403
    assert http.post("/v1/practitioners", json=body, headers={"idempotency-key": "k" * 8}).status_code == 401
    headers = signer.headers("operator", scopes=["practitioners:enrol"])
    answer = http.post("/v1/practitioners", json=body, headers=headers)
    assert answer.status_code == 201
    shown = answer.json()
    assert len(shown["initial_password"]) >= 20
    assert shown["totp_secret"] in shown["totp_uri"]
    context = http.app.state.context
    with context.database.transaction() as session:
        person = session.scalar(select(Person))
        assert person is not None
        assert person.password_hash.startswith("$argon2id$")
        assert shown["totp_secret"] not in str(person.totp_sealed)
        stored = bytes(session.scalar(select(IDEMPOTENCY.c.body)) or b"")
        assert shown["totp_secret"].encode() not in stored
    directory = http.get(f"/v1/practitioners/{shown['id']}", headers=signer.headers("patient"))
    assert directory.json() == {
        "id": shown["id"], "given_name": "Camille", "family_name": "Exemple", "speciality": "General practice",
    }  # fmt: skip


def test_patients_are_in_no_directory(http: Any, signer: TokenSigner) -> None:
    subject = register(http).json()["id"]
    assert http.get(f"/v1/practitioners/{subject}", headers=signer.headers("practitioner")).status_code == 404


def test_contacts_are_for_the_notification_service(http: Any, signer: TokenSigner) -> None:
    subject = register(http).json()["id"]
    url = f"/v1/contacts/{subject}"
    for role, caller in (
        ("patient", subject),
        ("practitioner", ""),
        ("operator", ""),
        ("service", "records"),
    ):
        assert http.get(url, headers=signer.headers(role, caller)).status_code == 403
    answer = http.get(url, headers=signer.headers("service", "notification"))
    assert answer.json() == {"id": subject, "given_name": "Camille", "email": "c@example.org"}


def test_nothing_about_people_is_logged_or_sent_on(
    http: Any, browser: Any, platform: Any, signer: Any
) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    configure_logging("identity", "fr-par", stream=stream, level=logging.DEBUG)
    try:
        register(http)
        register(http, key="another-key")
        register(http, email="not an address Exemple")
        headers = signer.headers("operator", scopes=["practitioners:enrol"])
        enrolled = http.post(
            "/v1/practitioners", json=PERSON | {"email": "doctor@example.org"}, headers=headers
        )
        page = browser.authorize()
        browser.login(page, "c@example.org", "the wrong Secretword")
        code_page = browser.authorize(login_hint="c@example.org")
        browser.login(code_page, "c@example.org", PERSON["password"])
        http.get("/nowhere/Camille?email=c@example.org")
        while http.app.state.context.relay.step():
            pass
    finally:
        root.handlers, root.level = before
        structlog.reset_defaults()
    told = stream.getvalue() + str(platform.messages)
    assert '"route": "/v1/patients"' in told
    assert "signin.refused" in told
    for secret in (
        "Camille",
        "Exemple",
        "example.org",
        "Secretword",
        "x" * 12,
        enrolled.json()["totp_secret"],
    ):
        assert secret not in told, secret


def test_unknown_people_take_as_long_as_known_ones() -> None:
    passwords = Passwords(memory_kib=8, passes=1)
    stored = passwords.hash("right password")
    assert passwords.verify(stored, "right password")
    assert not passwords.verify(stored, "wrong password")
    assert not passwords.verify(None, "right password")
    assert not passwords.verify("not a hash", "x")
