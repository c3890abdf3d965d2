"""OAuth clients: the services and the operator from a file, and the public web client."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

OPENID_SCOPES = ("openid", "profile", "email", "offline_access")
WEB_CLIENT = "vitalops-web"
_LOOPBACK = re.compile(r"^http://(127\.0\.0\.1|\[::1\])(:\d{1,5})?(/.*)$")


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """One client; the methods are what Authlib asks of it. A client without a secret is public."""

    client_id: str
    role: Literal["service", "operator", "public"]
    scopes: tuple[str, ...]
    secrets_sha256: tuple[str, ...] = field(default=(), repr=False)
    """Two while a secret is being replaced: either is accepted."""
    redirect_uris: tuple[str, ...] = ()

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        # Always to be named in the request (RFC 9700, section 4.1.3: exact matching).
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        if not scope:
            return "openid" if self.role == "public" else " ".join(self.scopes)
        return " ".join(name for name in scope.split() if name in self.scopes)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return any(_redirect_matches(allowed, redirect_uri) for allowed in self.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        given = hashlib.sha256(client_secret.encode()).hexdigest()
        return any(hmac.compare_digest(given, known) for known in self.secrets_sha256)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        if self.role == "public":
            return method == "none"
        return method in {"client_secret_basic", "client_secret_post"}

    def check_response_type(self, response_type: str) -> bool:
        return self.role == "public" and response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        allowed = {"authorization_code", "refresh_token"} if self.role == "public" else {"client_credentials"}
        return grant_type in allowed


def _redirect_matches(allowed: str, given: str) -> bool:
    """Exact, except for the port of a loopback address, which native programs pick (RFC 8252, section 7.3)."""
    expected, asked = _LOOPBACK.match(allowed), _LOOPBACK.match(given)
    if expected and asked:
        return expected[1] == asked[1] and expected[3] == asked[3]
    return allowed == given


def web_client(redirect_uris: Iterable[str]) -> OAuthClient:
    """The public client that people sign in with."""
    return OAuthClient(WEB_CLIENT, "public", OPENID_SCOPES, redirect_uris=tuple(redirect_uris))


def parse_clients(document: Mapping[str, Mapping[str, Any]]) -> dict[str, OAuthClient]:
    """Read `{client_id: {secret_sha256, scopes, role?}}`; the role is `service` unless it says `operator`.

    `secret_sha256` is one digest, or a list of them while a secret is being replaced.

    Raises ValueError for anything else.
    """
    clients: dict[str, OAuthClient] = {}
    for client_id, entry in document.items():
        given, role = entry.get("secret_sha256", ""), entry.get("role", "service")
        digests = tuple(str(digest) for digest in (given if isinstance(given, list) else [given]))
        good = bool(digests) and all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests)
        if not good or role not in {"service", "operator"}:
            raise ValueError(f"client {client_id!r} needs secret_sha256 (64 hex digits) and a known role")
        scopes = tuple(str(scope) for scope in entry.get("scopes", ()))
        clients[client_id] = OAuthClient(client_id, role, scopes, secrets_sha256=digests)
    return clients
