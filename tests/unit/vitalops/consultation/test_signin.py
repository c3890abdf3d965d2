from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode

import httpx
import pytest

from vitalops.consultation.http import Edge
from vitalops.consultation.signin import Account, Application, Pkce, Tokens, sign_in, totp
from vitalops.consultation.walk import StepFailed

EDGE = "https://edge.test"
APPLICATION = Application("portal", f"{EDGE}/portal/callback", "openid")
ACCOUNT = Account("verify-1@example.invalid", "correct horse", totp_secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")


def test_challenge_is_that_of_the_standard() -> None:
    # RFC 7636, appendix B.
    assert (
        Pkce("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").challenge
        == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_verifiers_are_long_and_never_repeated() -> None:
    verifiers = {Pkce.fresh().verifier for _ in range(50)}
    assert len(verifiers) == 50
    assert all(43 <= len(verifier) <= 128 for verifier in verifiers)


@pytest.mark.parametrize(("at", "code"), [(59, "287082"), (1111111109, "081804"), (2000000000, "279037")])
def test_second_factor_is_that_of_the_standard(at: int, code: str) -> None:
    # RFC 6238, appendix B, SHA-1, cut to six digits.
    assert totp(base64.b32encode(b"12345678901234567890").decode(), at) == code


def test_secrets_do_not_show() -> None:
    assert "correct horse" not in repr(ACCOUNT)
    assert "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP" not in repr(ACCOUNT)
    tokens = Tokens(access_token="very-secret", token_type="Bearer", expires_in=900)
    assert "very-secret" not in repr(tokens)


def jwt(document: dict[str, object]) -> str:
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "none"}, document, {})
    )


@dataclass
class Provider:
    """An identity provider with two pages, for a browser that keeps cookies."""

    password: str = ACCOUNT.password
    state: Callable[[str], str] = str
    nonce: Callable[[str], str] = str
    home: str = APPLICATION.redirect_uri
    asked: dict[str, str] = field(default_factory=dict[str, str])
    seen: list[str] = field(default_factory=list[str])

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.seen.append(f"{request.method} {path}")
        sent = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        match request.method, path:
            case "GET", "/identity/.well-known/openid-configuration":
                base = f"{EDGE}/identity"
                return httpx.Response(
                    200,
                    json={
                        "issuer": base,
                        "authorization_endpoint": f"{base}/authorize",
                        "token_endpoint": f"{base}/token",
                        "jwks_uri": f"{base}/jwks",
                    },
                )
            case "GET", "/identity/authorize":
                self.asked = {
                    name: values[0] for name, values in parse_qs(request.url.query.decode()).items()
                }
                return httpx.Response(
                    302, headers={"location": "/identity/login", "set-cookie": "s=1; Path=/"}
                )
            case "GET", "/identity/login":
                return self._page("<input type=email name=email><input type=password name=pw>", "login")
            case "POST", "/identity/login":
                assert request.headers["cookie"] == "s=1"
                if sent.get("pw") != self.password:
                    return self._page(
                        "<p role=alert>Wrong password.</p><input type=password name=pw>", "login"
                    )
                return httpx.Response(303, headers={"location": "/identity/second"})
            case "GET", "/identity/second":
                return self._page("<input name=otp>", "second")
            case "POST", "/identity/second":
                assert sent["otp"] == totp(ACCOUNT.totp_secret, 1000)
                back = {"code": "c0de", "state": self.state(self.asked["state"])}
                return httpx.Response(303, headers={"location": f"{self.home}?{urlencode(back)}"})
            case "POST", "/identity/token":
                assert Pkce(sent["code_verifier"]).challenge == self.asked["code_challenge"]
                assert sent["redirect_uri"] == APPLICATION.redirect_uri
                identity = jwt({"nonce": self.nonce(self.asked["nonce"])})
                return httpx.Response(
                    200,
                    json={
                        "access_token": "at",
                        "token_type": "Bearer",
                        "expires_in": 900,
                        "id_token": identity,
                    },
                )
            case _:
                return httpx.Response(404)

    def _page(self, inside: str, action: str) -> httpx.Response:
        html = f"<form method=post action='/identity/{action}'>{inside}</form>"
        return httpx.Response(200, html=html)


def attempt(provider: Provider, account: Account = ACCOUNT) -> Tokens:
    async def run() -> Tokens:
        edge = Edge(EDGE, httpx.MockTransport(provider))
        try:
            return await sign_in(edge, APPLICATION, account, now=1000)
        finally:
            await edge.aclose()

    return asyncio.run(run())


def test_signing_in_goes_through_the_pages_and_proves_the_key() -> None:
    provider = Provider()
    assert attempt(provider).access_token == "at"
    assert provider.asked["code_challenge_method"] == "S256"
    assert provider.seen[-1] == "POST /identity/token"
    assert not any("callback" in seen for seen in provider.seen), "nobody listens at the redirect URI"


@pytest.mark.parametrize(
    ("provider", "account", "seen"),
    [
        (Provider(), Account("a@example.invalid", "wrong"), "Wrong password"),
        (Provider(), Account("a@example.invalid", ACCOUNT.password), "second factor"),
        (Provider(state=lambda _: "other"), ACCOUNT, "state"),
        (Provider(nonce=lambda _: "other"), ACCOUNT, "nonce"),
        (
            Provider(home="https://evil.test/callback"),
            ACCOUNT,
            "away from the platform, to https://evil.test",
        ),
    ],
)
def test_a_sign_in_that_goes_wrong_says_how(provider: Provider, account: Account, seen: str) -> None:
    with pytest.raises(StepFailed, match=seen):
        attempt(provider, account)


def test_another_issuer_is_refused() -> None:
    def elsewhere(request: httpx.Request) -> httpx.Response:
        names = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
        return httpx.Response(200, json=dict.fromkeys(names, "https://evil.test"))

    async def run() -> None:
        await sign_in(Edge(EDGE, httpx.MockTransport(elsewhere)), APPLICATION, ACCOUNT, now=0)

    with pytest.raises(StepFailed, match=r"the issuer is https://evil\.test"):
        asyncio.run(run())
