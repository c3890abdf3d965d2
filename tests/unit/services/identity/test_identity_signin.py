"""Signing in: the forms, the second factor, and everything that must not get anybody in."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from joserfc import jwt
from sqlalchemy import select

from services.common.testing import FixedClock, TokenSigner
from services.identity import throttle
from services.identity.models import Interaction


def claims(token: str, signer: TokenSigner) -> dict[str, Any]:
    return jwt.decode(token, signer.key, algorithms=["ES256"]).claims


def test_a_patient_signs_in(browser: Any, patient: str, signer: TokenSigner, clock: FixedClock) -> None:
    page = browser.authorize()
    assert page.status_code == 200
    answer = browser.login(page, patient)
    back = urlsplit(answer.headers["location"])
    assert answer.status_code == 303
    assert f"{back.scheme}://{back.netloc}{back.path}" == "https://localhost:8443/callback"
    query = parse_qs(back.query)
    assert query["state"] == ["state-1"]
    assert query["iss"] == ["https://localhost:8443/identity"]
    tokens = browser.exchange(query["code"][0]).json()
    access, identity = claims(tokens["access_token"], signer), claims(tokens["id_token"], signer)
    now = int(clock.now().timestamp())
    assert {k: access[k] for k in ("iss", "aud", "role", "scope", "amr", "iat", "exp", "client_id")} == {
        "iss": "https://localhost:8443/identity", "aud": "vitalops", "role": "patient", "scope": "openid profile",
        "amr": ["pwd"], "iat": now, "exp": now + 900, "client_id": "vitalops-web",
    }  # fmt: skip
    assert (identity["aud"], identity["nonce"], identity["auth_time"]) == (["vitalops-web"], "nonce-1", now)
    assert identity["sub"] == access["sub"]
    assert tokens["expires_in"] == 900


def test_the_access_token_opens_the_door_and_the_id_token_does_not(browser: Any, patient: str) -> None:
    tokens = browser.exchange(browser.code_for(patient)).json()
    answer = browser.http.get("/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert answer.json()["name"] == "Recognisable Patientname"
    assert "email" not in answer.json()
    refused = browser.http.get("/userinfo", headers={"authorization": f"Bearer {tokens['id_token']}"})
    assert refused.status_code == 401


def test_a_practitioner_needs_the_second_factor(
    browser: Any, practitioner: Any, signer: TokenSigner, clock: FixedClock
) -> None:
    page = browser.authorize()
    answer = browser.login(page, practitioner.email)
    assert (answer.status_code, answer.headers["location"]) == (303, "/mfa")
    form = browser.http.get("/mfa")
    assert 'autocomplete="one-time-code"' in form.text
    done = browser.second(form, pyotp.TOTP(practitioner.totp).at(clock.now()))
    code = parse_qs(urlsplit(done.headers["location"]).query)["code"][0]
    access = claims(browser.exchange(code).json()["access_token"], signer)
    assert (access["role"], access["amr"], access["sub"]) == (
        "practitioner", ["pwd", "otp", "mfa"], practitioner.id,
    )  # fmt: skip


def test_the_second_factor_cannot_be_skipped(browser: Any, practitioner: Any) -> None:
    page = browser.authorize()
    assert browser.second(page, "123456").status_code == 400, "no password yet"
    browser.login(page, practitioner.email)
    assert "code=" not in browser.login(page, practitioner.email).headers.get("location", "")


def test_a_code_is_good_for_one_sign_in(browser: Any, practitioner: Any, clock: FixedClock) -> None:
    code = pyotp.TOTP(practitioner.totp).at(clock.now())
    for status in (303, 403):
        page = browser.authorize()
        browser.login(page, practitioner.email)
        assert browser.second(page, code).status_code == status
    clock.advance(seconds=30)
    page = browser.authorize()
    browser.login(page, practitioner.email)
    assert browser.second(page, pyotp.TOTP(practitioner.totp).at(clock.now())).status_code == 303


@pytest.mark.parametrize("offset", [-90, -60, 60, 90, 3600])
def test_codes_of_other_times_are_refused(
    browser: Any, practitioner: Any, clock: FixedClock, offset: int
) -> None:
    page = browser.authorize()
    browser.login(page, practitioner.email)
    code = pyotp.TOTP(practitioner.totp).at(int(clock.now().timestamp()) + offset)
    assert browser.second(page, code).status_code == 403


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", " 1 2 3"])
def test_what_is_no_code_is_refused(browser: Any, practitioner: Any, code: str) -> None:
    page = browser.authorize()
    browser.login(page, practitioner.email)
    assert browser.second(page, code).status_code == 403


def test_guessing_locks_the_account_known_or_not(browser: Any, patient: str, clock: FixedClock) -> None:
    answers: dict[str, list[tuple[int, str]]] = {}
    for email in (patient, "nobody@example.org"):
        page = browser.authorize()
        answers[email] = []
        for _ in range(throttle.FREE_FAILURES + 1):
            answer = browser.login(page, email, "wrong password!!")
            answers[email].append((answer.status_code, answer.text.split('role="alert"')[1][:60]))
    assert answers[patient] == answers["nobody@example.org"], "nobody learns who is registered"
    assert [status for status, _ in answers[patient]] == [403] * throttle.FREE_FAILURES + [429]
    page = browser.authorize()
    locked = browser.login(page, patient)
    assert (locked.status_code, locked.headers["retry-after"]) == (429, "30"), (
        "the right password does not help"
    )
    clock.advance(seconds=30)
    assert browser.login(page, patient).status_code == 303


def test_guessing_codes_locks_too(browser: Any, practitioner: Any, clock: FixedClock) -> None:
    page = browser.authorize()
    browser.login(page, practitioner.email)
    statuses = [browser.second(page, "000000").status_code for _ in range(throttle.FREE_FAILURES + 1)]
    assert statuses == [403] * throttle.FREE_FAILURES + [429]
    assert browser.second(page, pyotp.TOTP(practitioner.totp).at(clock.now())).status_code == 429


def test_locks_double_up_to_a_quarter_of_an_hour() -> None:
    locks = [throttle.lock_after(failures) for failures in range(1, 30)]
    assert locks[: throttle.FREE_FAILURES - 1] == [None] * (throttle.FREE_FAILURES - 1)
    seconds = [lock.total_seconds() for lock in locks if lock]
    assert seconds[:4] == [30, 60, 120, 240]
    assert max(seconds) == 900


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "unknown"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "https://localhost:8443/callback/../x"},
        {"redirect_uri": "https://localhost:8443/callback?more=1"},
        {"redirect_uri": "http://127.0.0.1.evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1@evil.example/callback"},
        {"redirect_uri": None},
        {"client_id": "consent"},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_the_clients(browser: Any, changes: Any) -> None:
    answer = browser.authorize(**changes)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"code_challenge": "!" * 43},
        {"response_type": "token"},
        {"nonce": "n" * 300},
        {"prompt": "none"},
    ],
)
def test_unsafe_requests_are_told_to_the_client(browser: Any, changes: Any) -> None:
    answer = browser.authorize(**changes)
    assert answer.status_code == 303
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert "error" in query
    assert "code" not in query
    assert query["state"] == ["state-1"]
    assert query["iss"] == ["https://localhost:8443/identity"]


def test_loopback_clients_may_pick_their_port(browser: Any, patient: str) -> None:
    code = browser.code_for(patient, redirect_uri="http://127.0.0.1:49152/callback")
    assert browser.exchange(code, redirect_uri="http://127.0.0.1:49152/callback").status_code == 200


def test_a_form_from_elsewhere_is_not_taken(browser: Any, patient: str) -> None:
    page = browser.authorize()
    assert browser.login(page, patient, csrf="0" * 64).status_code == 400
    assert browser.login(page, patient, csrf="").status_code == 400
    mine = browser.authorize()
    assert browser.login(page, patient).status_code == 400, "a token of another sign-in"
    assert browser.login(mine, patient).status_code == 303
    browser.http.cookies.clear()
    assert browser.login(mine, patient).status_code == 400


def test_a_sign_in_expires_and_is_used_up(browser: Any, patient: str, clock: FixedClock) -> None:
    page = browser.authorize()
    clock.advance(minutes=10)
    assert browser.login(page, patient).status_code == 400
    page = browser.authorize()
    assert browser.login(page, patient).status_code == 303
    assert browser.login(page, patient).status_code == 400
    with browser.http.app.state.context.database.transaction() as session:
        assert len(session.scalars(select(Interaction)).all()) == 1


def test_pages_defend_themselves(browser: Any) -> None:
    page = browser.authorize()
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://localhost:8443" in policy
    cookie = page.headers["set-cookie"]
    for part in ("__Secure-", "HttpOnly", "Secure", "SameSite=lax"):
        assert part in cookie
    assert "<script" not in page.text
    assert 'autocomplete="username"' in page.text
    assert 'autocomplete="current-password"' in page.text
    assert page.text.count("<label for=") == 2


def test_behind_the_gateway_forms_and_cookies_carry_the_prefix(
    http: Any, practitioner: Any, clock: FixedClock
) -> None:
    from services.common.testing import TestClient
    from tests.unit.services.identity.conftest import Browser

    prefixed = TestClient(
        http.app, base_url="https://localhost:8443/identity", root_path="/identity", follow_redirects=False
    )
    page = Browser(prefixed, clock).authorize()
    assert 'action="/identity/login"' in page.text
    assert "Path=/identity;" in page.headers["set-cookie"]
    assert Browser(prefixed, clock).login(page, practitioner.email).headers["location"] == "/identity/mfa"


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain"]
)
def test_forms_are_urlencoded(browser: Any, content_type: str) -> None:
    answer = browser.http.post("/login", content=b"{}", headers={"content-type": content_type})
    assert answer.status_code == 415


def test_odd_parameters_do_no_harm(browser: Any, patient: str) -> None:
    answer = browser.authorize(state="<script>é\u0000", scope="openid \"'<x>", response_type='cöde"')
    assert answer.status_code in (303, 400)
    assert "<script>" not in answer.text
    page = browser.authorize()
    assert browser.login(page, "é\u0000'--@x", "\u0000" * 20).status_code == 403
    assert browser.http.post(
        "/oauth/token", content=b"grant_type=%ff&\x80", headers={"content-type": "application/x-www-form-urlencoded"}
    ).status_code == 400  # fmt: skip
