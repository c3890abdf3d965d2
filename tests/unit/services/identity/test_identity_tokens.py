"""Tokens: codes and refresh tokens that work once, clients that prove themselves, keys that rotate."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from sqlalchemy import func, select

from services.common.settings import SettingsError
from services.common.testing import FixedClock, TokenSigner, assert_migrations_match
from services.identity.clients import OAuthClient, parse_clients
from services.identity.crypto import FieldCipher
from services.identity.models import AuthorizationCode, RefreshToken
from services.identity.service import SERVICE, purge
from services.identity.state import REFRESH_LIFETIME, build_state


def refused(answer: Any, error: str) -> None:
    assert answer.status_code in (400, 401), answer.text
    assert answer.json()["error"] == error
    assert "access_token" not in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "another-verifier-of-at-least-forty-three-characters"}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1/callback"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"client_id": "consent"}, "invalid_client"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"client_id": None}, "invalid_client"),
        ({"code": "guess"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
    ],
)
def test_a_code_alone_is_worth_nothing(browser: Any, patient: str, changes: Any, error: str) -> None:
    refused(browser.exchange(browser.code_for(patient), **changes), error)


def test_the_challenge_itself_is_no_verifier(browser: Any, patient: str) -> None:
    from tests.unit.services.identity.conftest import VERIFIER, challenge

    refused(browser.exchange(browser.code_for(patient), code_verifier=challenge(VERIFIER)), "invalid_grant")


def test_a_code_lasts_a_minute(browser: Any, patient: str, clock: FixedClock) -> None:
    code = browser.code_for(patient)
    clock.advance(seconds=60)
    refused(browser.exchange(code), "invalid_grant")


def test_a_code_used_twice_ends_the_sign_in(browser: Any, patient: str) -> None:
    code = browser.code_for(patient)
    tokens = browser.exchange(code).json()
    refused(browser.exchange(code), "invalid_grant")
    refused(browser.refresh(tokens["refresh_token"]), "invalid_grant")


def test_refresh_tokens_rotate(browser: Any, patient: str, signer: TokenSigner, clock: FixedClock) -> None:
    first = browser.exchange(browser.code_for(patient)).json()
    clock.advance(minutes=14)
    second = browser.refresh(first["refresh_token"])
    assert second.status_code == 200
    assert second.json()["refresh_token"] != first["refresh_token"]
    one, two = (
        jwt.decode(token, signer.key, algorithms=["ES256"]).claims
        for token in (first["access_token"], second.json()["access_token"])
    )
    assert (one["sub"], one["role"], one["amr"]) == (two["sub"], two["role"], two["amr"])
    assert two["exp"] == int(clock.now().timestamp()) + 900


def test_a_refresh_token_used_twice_ends_the_sign_in(browser: Any, patient: str, platform: Any) -> None:
    first = browser.exchange(browser.code_for(patient)).json()["refresh_token"]
    second = browser.refresh(first).json()["refresh_token"]
    refused(browser.refresh(first), "invalid_grant")
    refused(browser.refresh(second), "invalid_grant")
    while browser.http.app.state.context.relay.step():
        pass
    ended = [event for event in platform.audit if event["action"] == "session.ended"]
    assert [event["detail"]["reason"] for event in ended] == ["refresh token used twice"]


def test_rotation_does_not_stretch_a_session(browser: Any, patient: str, clock: FixedClock) -> None:
    token = browser.exchange(browser.code_for(patient)).json()["refresh_token"]
    clock.advance(hours=6)
    token = browser.refresh(token).json()["refresh_token"]
    clock.advance(seconds=REFRESH_LIFETIME.total_seconds() - 6 * 3600)
    refused(browser.refresh(token), "invalid_grant")


def test_signing_out(browser: Any, patient: str) -> None:
    tokens = browser.exchange(browser.code_for(patient)).json()
    form = {"token": tokens["refresh_token"], "client_id": "vitalops-web"}
    assert browser.http.post("/oauth/revoke", data=form).status_code == 200
    refused(browser.refresh(tokens["refresh_token"]), "invalid_grant")
    assert browser.http.post("/oauth/revoke", data=form | {"token": "unknown"}).status_code == 200
    refused(browser.http.post("/oauth/revoke", data={"token": "x"}), "invalid_client")


def test_repeated_parameters_are_refused(browser: Any) -> None:
    answer = browser.http.post(
        "/oauth/token",
        content=b"grant_type=client_credentials&grant_type=client_credentials",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    refused(answer, "invalid_request")


def credentials(http: Any, client: str, secret: str, **form: str) -> Any:
    return http.post("/oauth/token", data={"grant_type": "client_credentials"} | form, auth=(client, secret))


def test_services_and_operators_get_tokens_of_their_role(http: Any, signer: TokenSigner) -> None:
    for client, secret, role, scope in (
        ("consent", "consent secret", "service", "audit:call"),
        ("operator", "operator secret", "operator", "practitioners:enrol audit:read"),
    ):
        answer = credentials(http, client, secret)
        assert answer.status_code == 200
        assert "refresh_token" not in answer.json()
        claims = jwt.decode(answer.json()["access_token"], signer.key, algorithms=["ES256"]).claims
        assert (claims["sub"], claims["role"], claims["scope"]) == (client, role, scope)
    narrow = credentials(http, "operator", "operator secret", scope="audit:read")
    assert narrow.json()["scope"] == "audit:read"


def test_clients_prove_themselves(http: Any) -> None:
    refused(credentials(http, "consent", "wrong"), "invalid_client")
    refused(credentials(http, "unknown", "x"), "invalid_client")
    refused(credentials(http, "vitalops-web", "x"), "invalid_client")
    refused(credentials(http, "consent", "consent secret", scope="audit:read"), "invalid_scope")
    public = {"grant_type": "client_credentials", "client_id": "consent"}
    refused(http.post("/oauth/token", data=public), "invalid_client")


def test_metadata_says_what_is_so(http: Any, signer: TokenSigner) -> None:
    metadata = http.get("/.well-known/openid-configuration").json()
    assert metadata["issuer"] == "https://localhost:8443/identity"
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    for name, url in metadata.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert http.get(url.removeprefix(metadata["issuer"])).status_code != 404
    keys = http.get("/.well-known/jwks.json").json()["keys"]
    assert [key["kid"] for key in keys] == [signer.kid]
    assert not any("d" in key for key in keys)


def test_keys_rotate_when_the_next_is_due(
    http: Any, clock: FixedClock, keyring: list[dict[str, Any]], tmp_path: Path
) -> None:
    successor = TokenSigner(clock, "next")
    due = int(clock.now().timestamp()) + 3600
    entry = {"kid": "next", "private_pem": successor.key.as_pem(private=True).decode(), "not_before": due}
    path = tmp_path / "signing-keys.json"
    path.write_text(json.dumps([*keyring, entry]))
    os.utime(path, ns=(time.time_ns(), time.time_ns() + 1_000_000))

    def kid() -> str:
        token = credentials(http, "consent", "consent secret").json()["access_token"]
        return json.loads(_header(token))["kid"]

    assert {key["kid"] for key in http.get("/.well-known/jwks.json").json()["keys"]} == {"test-key", "next"}
    assert kid() == "test-key", "published before it signs"
    clock.advance(hours=1)
    assert kid() == "next"


def _header(token: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(token.split(".")[0] + "===")


def test_a_malformed_key_ring_stops_the_start(
    http: Any, keyring: list[dict[str, Any]], tmp_path: Path
) -> None:
    context = http.app.state.context
    for text in ("{", "[]", json.dumps([keyring[0], keyring[0]])):
        (tmp_path / "signing-keys.json").write_text(text)
        with pytest.raises(SettingsError, match=r"signing-keys\.json"):
            build_state(context)


def test_client_files_are_checked() -> None:
    good = {"a": {"secret_sha256": "0" * 64, "scopes": ["x"]}}
    assert parse_clients(good)["a"] == OAuthClient("a", "service", ("x",), secrets_sha256=("0" * 64,))
    both = parse_clients({"a": {"secret_sha256": ["0" * 64, hashlib.sha256(b"new").hexdigest()]}})["a"]
    assert both.check_client_secret("new")
    assert not both.check_client_secret("old")
    for bad in (
        {"a": {}},
        {"a": {"secret_sha256": "x"}},
        {"a": {"secret_sha256": []}},
        {"a": {"secret_sha256": "0" * 64, "role": "patient"}},
    ):
        with pytest.raises(ValueError, match="'a'"):
            parse_clients(bad)


def test_sealed_fields_belong_to_one_row() -> None:
    cipher = FieldCipher("key")
    sealed = cipher.seal("secret", owner="one")
    assert "secret" not in sealed
    assert cipher.open(sealed, owner="one") == "secret"
    assert sealed != cipher.seal("secret", owner="one")
    for opener, owner in ((cipher, "two"), (FieldCipher("other"), "one")):
        with pytest.raises(ValueError, match="row"):
            opener.open(sealed, owner=owner)


def test_what_has_expired_is_forgotten_but_not_sooner(browser: Any, patient: str, clock: FixedClock) -> None:
    browser.exchange(browser.code_for(patient))
    database = browser.http.app.state.context.database

    def left() -> tuple[int, int]:
        with database.transaction() as session:
            purge(session, clock.now())
            return tuple(
                session.scalar(select(func.count()).select_from(table)) or 0
                for table in (AuthorizationCode, RefreshToken)
            )  # type: ignore[return-value]

    clock.advance(hours=11)
    assert left() == (1, 1)
    clock.advance(hours=2)
    assert left() == (0, 0)


def test_migrations_make_what_the_models_describe(tmp_path: Path) -> None:
    assert_migrations_match(SERVICE, tmp_path)
