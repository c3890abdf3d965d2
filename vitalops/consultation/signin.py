"""Signing in as a person does: the authorisation code flow with PKCE, through the forms of a browser.

RFC 6749 section 4.1, RFC 7636, OpenID Connect Core 1.0 section 3.1, RFC 6238 for the second factor.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
from pyotp.totp import TOTP

from vitalops.consultation import forms
from vitalops.consultation.http import Edge, Partial, read, told
from vitalops.consultation.tokens import part
from vitalops.consultation.walk import StepFailed

MAXIMUM_PAGES = 12
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_USER_FIELDS = ("email", "username", "login")
_CODE_FIELDS = ("totp", "otp", "code")


@dataclass(frozen=True, slots=True)
class Pkce:
    """A proof key: the verifier is kept, the challenge is sent ahead."""

    verifier: str = field(repr=False)

    @staticmethod
    def fresh() -> Pkce:
        return Pkce(secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        """Method S256: base64url(SHA-256(verifier)), unpadded (RFC 7636, 4.2)."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can sign in. `totp_secret` is base32; empty where there is no second factor."""

    email: str
    password: str = field(repr=False)
    totp_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Application:
    """A registered public client of the identity provider."""

    client_id: str
    redirect_uri: str
    scope: str


class Tokens(Partial):
    access_token: str
    token_type: str
    expires_in: int
    id_token: str = ""
    scope: str = ""

    def __repr__(self) -> str:
        return f"Tokens(expires_in={self.expires_in})"


class Discovery(Partial):
    """What the provider says of itself (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


def totp(secret: str, at: float) -> str:
    """The code that an authenticator app shows at `at` (seconds since the epoch)."""
    return TOTP(secret).at(int(at))


async def discover(edge: Edge) -> Discovery:
    path = "/identity/.well-known/openid-configuration"
    found = read(Discovery, await edge.ask("GET", path))
    expected = f"{edge.url}/identity"
    if found.issuer != expected:
        raise StepFailed(f"GET {path}: the issuer is {found.issuer}, not {expected}")
    return found


async def sign_in(edge: Edge, application: Application, account: Account, now: float) -> Tokens:
    """Tokens for `account`, obtained through the provider's pages.

    `now` (seconds since the epoch) is for the second factor. Raises StepFailed with the page's own complaint
    where it refuses, and for an answer whose state, nonce or audience is not ours.
    """
    provider = await discover(edge)
    pkce, state, nonce = Pkce.fresh(), secrets.token_urlsafe(16), secrets.token_urlsafe(16)
    query = urlencode(
        {
            "response_type": "code",
            "client_id": application.client_id,
            "redirect_uri": application.redirect_uri,
            "scope": application.scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": pkce.challenge,
            "code_challenge_method": "S256",
        }
    )
    async with edge.browser() as browser:
        landed = await _browse(
            edge, browser, f"{provider.authorization_endpoint}?{query}", application, account, now
        )
    if landed.get("state") != state:
        raise StepFailed("the sign-in came back with a state that is not ours")
    if "code" not in landed:
        reason = landed.get("error_description") or landed.get("error") or "no code"
        raise StepFailed(f"the sign-in came back without a code: {reason}")
    response = await edge.ask(
        "POST",
        provider.token_endpoint,
        form={
            "grant_type": "authorization_code",
            "code": landed["code"],
            "redirect_uri": application.redirect_uri,
            "client_id": application.client_id,
            "code_verifier": pkce.verifier,
        },
    )
    tokens = read(Tokens, response)
    identity = part(tokens.id_token, 1)
    if identity.get("nonce") != nonce:
        raise StepFailed("the ID token carries a nonce that is not ours")
    return tokens


async def _browse(
    edge: Edge,
    browser: httpx.AsyncClient,
    url: str,
    application: Application,
    account: Account,
    now: float,
) -> dict[str, str]:
    """Follows redirects and fills in forms until the provider sends us home; what it sends along."""
    complaints: tuple[str, ...] = ()
    response = await edge.send("GET", url, client=browser)
    for _ in range(MAXIMUM_PAGES):
        here = str(response.request.url)
        if response.status_code in _REDIRECTS:
            target = urljoin(here, response.headers.get("location", ""))
            if target.split("?", 1)[0] == application.redirect_uri:
                return {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
            if not target.startswith(edge.url + "/"):
                raise StepFailed(f"the sign-in led away from the platform, to {target.split('?', 1)[0]}")
            response = await edge.send("GET", target, client=browser)
            continue
        page = forms.parse(response.text) if "html" in response.headers.get("content-type", "") else None
        if page is None or not page.forms:
            raise StepFailed(f"the sign-in stopped at {response.request.url.path}: {told(response)}")
        if complaints and page.alerts == complaints:
            break
        complaints = page.alerts
        if complaints and response.status_code >= 400:
            break
        form = page.forms[0]
        filled = form.fields | _answers(form, account, now)
        response = await edge.send(
            form.method.upper(), urljoin(here, form.action), form=filled, client=browser
        )
    raise StepFailed(f"the sign-in page says: {'; '.join(complaints) or 'nothing'}")


def _answers(form: forms.Form, account: Account, now: float) -> dict[str, str]:
    """What a person types into this form."""
    answers: dict[str, str] = {}
    if user := form.field_for(*_USER_FIELDS):
        answers[user] = account.email
    if password := form.field_for("password"):
        answers[password] = account.password
    if code := form.field_for(*_CODE_FIELDS):
        if not account.totp_secret:
            raise StepFailed("the sign-in asks for a second factor, and this account has none")
        answers[code] = totp(account.totp_secret, now)
    return answers
