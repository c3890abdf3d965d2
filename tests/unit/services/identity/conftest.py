"""Identity with one operator, one service, one patient and one practitioner; a browser of sorts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import pytest

from services.common.context import ServiceContext
from services.common.testing import FixedClock, TestClient, TokenSigner, make_test_app
from services.identity.crypto import Passwords
from services.identity.service import SERVICE
from services.identity.state import IdentityState, build_state

CALLBACK = "https://localhost:8443/callback"
VERIFIER = "a-verifier-of-at-least-forty-three-characters-0123456789"
PASSWORD = "a long enough password"


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _build(context: ServiceContext) -> IdentityState:
    # The cheapest argon2 there is: these tests are not about its cost.
    return build_state(context, passwords=Passwords(memory_kib=8, passes=1))


@dataclass
class Browser:
    """Fills in identity's forms."""

    http: Any
    clock: FixedClock

    def authorize(self, **changes: str | None) -> httpx.Response:
        query: dict[str, str | None] = {
            "response_type": "code", "client_id": "vitalops-web", "redirect_uri": CALLBACK, "scope": "openid profile",
            "state": "state-1", "nonce": "nonce-1", "code_challenge": challenge(VERIFIER),
            "code_challenge_method": "S256",
        }  # fmt: skip
        query |= changes
        return self.http.get("/authorize", params={k: v for k, v in query.items() if v is not None})

    def login(
        self, page: httpx.Response, email: str, password: str = PASSWORD, **changes: str
    ) -> httpx.Response:
        form = {"csrf": csrf_of(page), "email": email, "password": password} | changes
        return self.http.post("/login", data=form)

    def second(self, page: httpx.Response, code: str, **changes: str) -> httpx.Response:
        return self.http.post("/mfa", data={"csrf": csrf_of(page), "code": code} | changes)

    def code_for(self, email: str, totp: str = "", **changes: str | None) -> str:
        """Sign in all the way; the authorization code."""
        page = self.authorize(**changes)
        answer = self.login(page, email)
        if totp:
            answer = self.second(page, pyotp.TOTP(totp).at(self.clock.now()))
        assert answer.status_code == 303, answer.text
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    def exchange(self, code: str, /, **changes: str | None) -> httpx.Response:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": "vitalops-web",
            "code_verifier": VERIFIER,
        }  # fmt: skip
        form |= changes
        return self.http.post("/oauth/token", data={k: v for k, v in form.items() if v is not None})

    def refresh(self, token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "vitalops-web"}
        return self.http.post("/oauth/token", data=form)


def csrf_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert found, page.text
    return found[1]


@pytest.fixture
def keyring(signer: TokenSigner) -> list[dict[str, Any]]:
    return [{"kid": signer.kid, "private_pem": signer.key.as_pem(private=True).decode(), "not_before": 0}]


@pytest.fixture
def http(
    tmp_path: Path, clock: FixedClock, signer: TokenSigner, keyring: list[dict[str, Any]], platform: Any
) -> Iterator[Any]:
    (tmp_path / "signing-keys.json").write_text(json.dumps(keyring))
    (tmp_path / "field-key").write_text("a field key")
    clients = {
        "consent": {"secret_sha256": sha256("consent secret"), "scopes": ["audit:call"]},
        "operator": {
            "secret_sha256": sha256("operator secret"), "role": "operator",
            "scopes": ["practitioners:enrol", "audit:read"],
        },
    }  # fmt: skip
    (tmp_path / "clients.json").write_text(json.dumps(clients))
    app = make_test_app(
        replace(SERVICE, build=_build), tmp_path, clock, signer, transport=httpx.MockTransport(platform)
    )
    with TestClient(app, base_url="https://localhost:8443", follow_redirects=False) as client:
        yield client


@pytest.fixture
def browser(http: Any, clock: FixedClock) -> Browser:
    return Browser(http, clock)


@pytest.fixture
def patient(http: Any) -> str:
    """Address of a registered patient."""
    body = {
        "given_name": "Recognisable", "family_name": "Patientname", "email": "patient@example.org",
        "password": PASSWORD, "birth_date": "1990-05-17",
    }  # fmt: skip
    answer = http.post("/v1/patients", json=body, headers={"idempotency-key": "register-patient"})
    assert answer.status_code == 201, answer.text
    return "patient@example.org"


@dataclass
class Practitioner:
    email: str
    totp: str
    id: str


@pytest.fixture
def practitioner(http: Any, signer: TokenSigner) -> Practitioner:
    body = {
        "given_name": "Recognisable", "family_name": "Doctorname", "email": "doctor@example.org",
        "password": PASSWORD, "speciality": "Dermatology",
    }  # fmt: skip
    headers = signer.headers("operator", scopes=["practitioners:enrol"])
    answer = http.post("/v1/practitioners", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return Practitioner("doctor@example.org", answer.json()["totp_secret"], answer.json()["id"])
