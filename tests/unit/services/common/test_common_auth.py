"""Who is let in: forged, expired, foreign and confused tokens are not."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from services.common.auth import InvalidToken, JwksFile, TokenVerifier, require
from services.common.testing import ISSUER, FixedClock, TokenSigner

CLOCK = FixedClock()
SIGNER = TokenSigner(CLOCK)


@pytest.fixture
def verifier(tmp_path: Path) -> TokenVerifier:
    path = SIGNER.write_jwks(tmp_path / "jwks.json")
    return TokenVerifier(JwksFile(path).keys, issuer=ISSUER, audience="vitalops", clock=CLOCK)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(CLOCK.now().timestamp())
    return {
        "iss": ISSUER, "sub": "s", "aud": "vitalops", "iat": now, "exp": now + 60, "jti": "j", "role": "patient",
    } | changes  # fmt: skip


def signed(payload: dict[str, Any], **header: Any) -> str:
    headers = {"alg": "ES256", "kid": SIGNER.kid, "typ": "at+jwt"} | header
    return jwt.encode({k: v for k, v in headers.items() if v}, payload, SIGNER.key, algorithms=["ES256"])


def b64(document: Any) -> str:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_good_token_names_its_bearer(verifier: TokenVerifier) -> None:
    principal = verifier.verify(SIGNER.token("practitioner", "abc", scopes=["openid", "x"]))
    assert (principal.subject, principal.role, principal.mfa) == ("abc", "practitioner", True)
    assert principal.scopes == {"openid", "x"}


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "other"},
        {"aud": ["other"]},
        {"exp": 0},
        {"exp": "soon"},
        {"iat": int(CLOCK.now().timestamp()) + 3600},
        {"nbf": int(CLOCK.now().timestamp()) + 3600},
        {"role": "root"},
        {"role": ["patient"]},
        {"sub": ""},
        {"sub": 7},
        {"scope": ["a"]},
        {"amr": "otp"},
    ],
)
def test_wrong_claims_are_refused(verifier: TokenVerifier, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        verifier.verify(signed(claims(**changes)))


@pytest.mark.parametrize("missing", ["iss", "sub", "aud", "iat", "exp", "jti", "role"])
def test_missing_claims_are_refused(verifier: TokenVerifier, missing: str) -> None:
    payload = claims()
    del payload[missing]
    with pytest.raises(InvalidToken):
        verifier.verify(signed(payload))


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": ""}, {"kid": ""}, {"kid": "unknown"}])
def test_wrong_headers_are_refused(verifier: TokenVerifier, header: dict[str, str]) -> None:
    with pytest.raises(InvalidToken):
        verifier.verify(signed(claims(), **header))


def test_expiry_is_to_the_second_with_five_seconds_of_grace(verifier: TokenVerifier) -> None:
    now = int(CLOCK.now().timestamp())
    verifier.verify(signed(claims(exp=now - 4)))
    with pytest.raises(InvalidToken, match="expired"):
        verifier.verify(signed(claims(exp=now - 5)))


def test_another_key_with_our_kid_is_refused(verifier: TokenVerifier) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": SIGNER.kid})
    token = jwt.encode(
        {"alg": "ES256", "kid": SIGNER.kid, "typ": "at+jwt"}, claims(), stranger, algorithms=["ES256"]
    )
    with pytest.raises(InvalidToken):
        verifier.verify(token)


def test_unsigned_tokens_are_refused(verifier: TokenVerifier) -> None:
    for algorithm in ("none", "None", "NONE"):
        header = {"alg": algorithm, "kid": SIGNER.kid, "typ": "at+jwt"}
        for signature in ("", b64(b"x" * 64)):
            with pytest.raises(InvalidToken):
                verifier.verify(f"{b64(header)}.{b64(claims())}.{signature}")


def test_the_public_key_is_not_taken_for_a_shared_secret(verifier: TokenVerifier) -> None:
    for secret in (
        SIGNER.key.as_pem(private=False),
        SIGNER.key.as_der(private=False),
        json.dumps(SIGNER.key.as_dict(private=False)).encode(),
    ):
        key = OctKey.import_key(base64.urlsafe_b64encode(secret).decode())
        token = jwt.encode(
            {"alg": "HS256", "kid": SIGNER.kid, "typ": "at+jwt"}, claims(), key, algorithms=["HS256"]
        )
        with pytest.raises(InvalidToken):
            verifier.verify(token)


def test_other_algorithms_are_refused_even_with_a_known_kind_of_key(tmp_path: Path) -> None:
    rsa = RSAKey.generate_key(2048, {"kid": "rsa"})
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [SIGNER.key.as_dict(private=False), rsa.as_dict(private=False)]}))
    verifier = TokenVerifier(JwksFile(path).keys, issuer=ISSUER, audience="vitalops", clock=CLOCK)
    verifier.verify(SIGNER.token("patient"))
    token = jwt.encode({"alg": "RS256", "kid": "rsa", "typ": "at+jwt"}, claims(), rsa, algorithms=["RS256"])
    with pytest.raises(InvalidToken):
        verifier.verify(token)


def test_a_key_inside_the_token_is_not_used(verifier: TokenVerifier) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": SIGNER.kid})
    header = {"alg": "ES256", "kid": SIGNER.kid, "typ": "at+jwt", "jwk": stranger.as_dict(private=False)}
    token = jwt.encode(header, claims(), stranger, algorithms=["ES256"])
    with pytest.raises(InvalidToken):
        verifier.verify(token)


@given(position=st.integers(min_value=0, max_value=400), letter=st.sampled_from("AZaz09-_."))
def test_a_token_changed_in_any_place_is_refused(
    tmp_path_factory: pytest.TempPathFactory, position: int, letter: str
) -> None:
    keys = JwksFile(SIGNER.write_jwks(tmp_path_factory.getbasetemp() / "jwks.json"))
    verifier = TokenVerifier(keys.keys, issuer=ISSUER, audience="vitalops", clock=CLOCK)
    token = SIGNER.token("patient", "abc")
    # The last letter of a base64 part may carry bits that decoding drops: leave it alone.
    position = min(position, len(token) - 2)
    if token[position] == letter:
        return
    changed = token[:position] + letter + token[position + 1 :]
    try:
        principal = verifier.verify(changed)
    except InvalidToken:
        return
    raise AssertionError(f"accepted as {principal} after a change at {position}")


@given(st.text(max_size=80))
def test_any_text_is_refused_without_another_error(text: str) -> None:
    verifier = TokenVerifier(
        lambda: JwksFile(Path(os.devnull)).keys(), issuer=ISSUER, audience="vitalops", clock=CLOCK
    )
    keyed = TokenVerifier(_one_key, issuer=ISSUER, audience="vitalops", clock=CLOCK)
    with pytest.raises(InvalidToken):
        keyed.verify(text)
    with pytest.raises(Exception, match="No verification keys"):
        verifier.verify(text)


def _one_key() -> Any:
    from joserfc.jwk import KeySet

    return KeySet([SIGNER.key])


def test_the_key_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = SIGNER.write_jwks(tmp_path / "jwks.json")
    verifier = TokenVerifier(JwksFile(path).keys, issuer=ISSUER, audience="vitalops", clock=CLOCK)
    successor = TokenSigner(CLOCK, "next")
    with pytest.raises(InvalidToken):
        verifier.verify(successor.token("patient"))
    replacement = tmp_path / "new.json"
    replacement.write_text(
        json.dumps({"keys": [key.key.as_dict(private=False) for key in (SIGNER, successor)]})
    )
    replacement.rename(path)
    verifier.verify(successor.token("patient"))
    verifier.verify(SIGNER.token("patient"))
    path.write_text("{ half written")
    verifier.verify(successor.token("patient"))


def test_an_unknown_role_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(ValueError, match="unknown role"):
        require(role="doctor")


def test_doors(start: Callable[..., Any], signer: TokenSigner, clock: FixedClock) -> None:
    from services.consent.service import SERVICE

    client = start(SERVICE)
    missing = client.get("/v1/grants")
    assert missing.status_code == 401
    assert missing.headers["www-authenticate"].startswith("Bearer")
    assert missing.headers["content-type"] == "application/problem+json"
    assert client.get("/v1/grants", headers={"authorization": "Basic eDp5"}).status_code == 401
    forged = client.get("/v1/grants", headers={"authorization": "Bearer x.y.z"})
    assert forged.status_code == 401
    assert 'error="invalid_token"' in forged.headers["www-authenticate"]
    assert client.get("/v1/grants", headers=signer.headers("practitioner")).status_code == 403
    assert client.get("/v1/purposes", headers=signer.headers("practitioner", mfa=False)).status_code == 403
    assert client.get("/v1/purposes", headers=signer.headers("practitioner")).status_code == 200
    token = signer.headers("patient")
    assert client.get("/v1/grants", headers=token).status_code == 200
    clock.advance(minutes=16)
    assert client.get("/v1/grants", headers=token).status_code == 401
