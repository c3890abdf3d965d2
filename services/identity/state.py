"""What identity keeps in memory: keys, clients, hashers; and the making of tokens from them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from joserfc import jwt

from services.common.clock import Clock
from services.common.context import ServiceContext
from services.common.keyring import KeyRing, RingKey, ring_file
from services.common.reloaded import ReloadedFile
from services.identity.clients import OAuthClient, parse_clients, web_client
from services.identity.crypto import FieldCipher, Passwords

ACCESS_LIFETIME = timedelta(minutes=15)
ID_LIFETIME = timedelta(minutes=15)
CODE_LIFETIME = timedelta(seconds=60)
INTERACTION_LIFETIME = timedelta(minutes=10)
REFRESH_LIFETIME = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class IdentityState:
    """Keys, clients and secrets of this process."""

    issuer: str
    audience: str
    clock: Clock
    keyring: ReloadedFile[KeyRing] = field(repr=False)
    clients: ReloadedFile[dict[str, OAuthClient]] = field(repr=False)
    web: OAuthClient
    passwords: Passwords = field(repr=False)
    cipher: FieldCipher = field(repr=False)

    def client(self, client_id: str) -> OAuthClient | None:
        """A registered client."""
        return self.web if client_id == self.web.client_id else self.clients.get().get(client_id)

    def signing_key(self) -> RingKey:
        """The key that signs now."""
        return self.keyring.get().signing_key(self.clock.now())

    def access_token(self, *, subject: str, role: str, scope: str, amr: Sequence[str], client_id: str) -> str:
        """An access token after RFC 9068, with the platform's `role`."""
        now = int(self.clock.now().timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": subject,
            "aud": self.audience,
            "iat": now,
            "exp": now + int(ACCESS_LIFETIME.total_seconds()),
            "jti": uuid.uuid4().hex,
            "client_id": client_id,
            "scope": scope,
            "role": role,
            "amr": list(amr),
        }
        key = self.signing_key()
        return jwt.encode(
            {"alg": "ES256", "kid": key.kid, "typ": "at+jwt"}, claims, key.key, algorithms=["ES256"]
        )


def build_state(context: ServiceContext, *, passwords: Passwords | None = None) -> IdentityState:
    """Read what identity needs; raises SettingsError, or ValueError for malformed clients, when something is amiss."""
    settings = context.settings
    parts = urlsplit(settings.issuer)
    configured = settings.environment.get("VITALOPS_REDIRECT_URIS", "")
    redirects = [uri.strip() for uri in configured.split(",") if uri.strip()] or [
        f"{parts.scheme}://{parts.netloc}/callback",
        "http://127.0.0.1/callback",
    ]
    state = IdentityState(
        issuer=settings.issuer,
        audience=settings.audience,
        clock=context.clock,
        keyring=ring_file(settings, "signing-keys.json"),
        clients=ReloadedFile(
            settings.secrets_dir / "clients.json", lambda text: parse_clients(json.loads(text))
        ),
        web=web_client(redirects),
        passwords=passwords or Passwords(),
        cipher=FieldCipher(settings.secret("field-key")),
    )
    # Identity needs no network to get a token for its own calls.
    context.client.use_token_source(
        lambda: state.access_token(
            subject=settings.service, role="service", scope="", amr=(), client_id=settings.service
        )
    )
    return state
