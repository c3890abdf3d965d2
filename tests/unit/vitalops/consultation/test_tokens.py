from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from vitalops.consultation import tokens
from vitalops.consultation.walk import StepFailed

KEY = ECKey.generate_key("P-256", {"kid": "k1"})
KEYS = tokens.key_set({"keys": [KEY.as_dict(private=False)]})
PEM = KEY.as_pem(private=True).decode()


def signed(typ: str, **content: object) -> str:
    header = {"alg": "ES256", "kid": "k1", "typ": typ}
    return jws.serialize_compact(header, json.dumps(content).encode(), KEY, algorithms=["ES256"])


DOCUMENT = signed(tokens.PRESCRIPTION_TYPE, sub="p1", items=[{"code": "N02BE01", "quantity": 1}])
TOKEN = signed(tokens.ACCESS_TOKEN_TYPE, sub="p1", exp=2_000_000_000, iat=1_999_999_100)


def test_a_genuine_prescription_is_accepted_without_asking_anyone() -> None:
    assert tokens.checked_prescription(DOCUMENT, KEYS)["sub"] == "p1"


@pytest.mark.parametrize(
    "forge",
    [
        lambda document: tokens.altered(document, sub="p2"),
        lambda document: tokens.unsigned(document),
        lambda document: tokens.signed_by_stranger(document),
        lambda document: tokens.keyed_by_hmac(document, KEYS),
        lambda document: document[:-4] + "AAAA",
        lambda document: "",
        lambda document: TOKEN,
    ],
)
def test_a_forged_prescription_is_refused(forge: Callable[[str], str]) -> None:
    with pytest.raises(tokens.Refused):
        tokens.checked_prescription(forge(DOCUMENT), KEYS)


def test_forgeries_differ_from_the_genuine_one_only_where_they_should() -> None:
    for forged in (tokens.signed_by_stranger(TOKEN), tokens.unsigned(TOKEN), tokens.altered(TOKEN)):
        assert tokens.part(forged, 1) == tokens.part(TOKEN, 1)
        assert tokens.part(forged, 0)["kid"] == "k1"
    assert tokens.part(tokens.unsigned(TOKEN), 0)["alg"] == "none"
    assert tokens.unsigned(TOKEN).endswith(".")
    assert tokens.part(tokens.keyed_by_hmac(TOKEN, KEYS), 0)["alg"] == "HS256"


def test_an_expired_token_is_genuine_in_everything_but_its_time() -> None:
    now = 1_999_999_500
    token = jwt.decode(tokens.expired(TOKEN, PEM, "k1", now), KEYS, algorithms=["ES256"])
    assert token.claims["exp"] == now - 3600
    assert token.claims["sub"] == "p1"
    with pytest.raises(JoseError, match="expired"):
        jwt.JWTClaimsRegistry(now=now).validate(token.claims)
    jwt.JWTClaimsRegistry(now=now - 3700).validate(token.claims)


def test_a_key_set_that_cannot_be_trusted_is_refused() -> None:
    with pytest.raises(StepFailed, match="empty"):
        tokens.key_set({"keys": []})
    with pytest.raises(StepFailed, match="private"):
        tokens.key_set({"keys": [KEY.as_dict(private=True)]})
    assert isinstance(KEYS, KeySet)


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "a.!!!.c"])
def test_what_is_no_token_is_a_finding(text: str) -> None:
    with pytest.raises(StepFailed):
        tokens.part(text, 1)
