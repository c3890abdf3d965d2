"""Who may look and decide: one token a person, in the secret store; sessions that end with it.

A session is a signed cookie: nothing about it is kept here. Its key is made of the server's key and the person's
token: replacing either ends it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from vitalops.errors import UsageError
from vitalops.ports.clock import Clock
from vitalops.secretstore.port import SecretStore

FOLDER: Final = "operations/oncall"
SESSION_KEY: Final = "operations/oncall-session-key"
SESSION_SECONDS: Final = 12 * 3600
"""A shift."""
ATTEMPTS: Final = 10
ATTEMPT_SECONDS: Final = 60.0
"""So many failed attempts to log in within so long are let through, of everybody together."""
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")
_NOBODY: Final = secrets.token_urlsafe(32)
REVOKED: Final = "revoked:"
"""Begins the value of somebody who may no longer: a store forgets no name."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has logged in. `csrf` goes into every form and comes back with it."""

    person: str
    csrf: str


@dataclass(slots=True)
class People:
    """Safe to use from several threads."""

    store: SecretStore
    clock: Clock
    failed: deque[float] = field(default_factory=deque[float])

    def names(self) -> tuple[str, ...]:
        prefix = f"{FOLDER}/"
        names = (name.removeprefix(prefix) for name in self.store.names() if name.startswith(prefix))
        return tuple(name for name in names if self._token(name) is not None)

    def add(self, name: str) -> str:
        """A new token for somebody new, or again; earlier ones end, and their sessions. Raises UsageError for a name
        that cannot be one."""
        token = secrets.token_urlsafe(32)
        self.store.replace(_secret(name), token)
        return token

    def revoke(self, name: str) -> None:
        """Raises UsageError for somebody who is not there."""
        if not _NAME.fullmatch(name) or self._token(name) is None:
            raise UsageError(
                f"{name[:64]!r} is not on call", hint=f"who is: {', '.join(self.names()) or 'nobody'}"
            )
        self.store.replace(_secret(name), REVOKED + secrets.token_urlsafe(32))

    def log_in(self, name: str, token: str) -> str | None:
        """The cookie's value; None where the name or the token is wrong, and for a while after too many such."""
        if self._throttled():
            return None
        known = self._token(name) if _NAME.fullmatch(name) else None
        # Nobody's token is compared too, so that time does not tell whether there is such a person.
        right = hmac.compare_digest((known or _NOBODY).encode(), token.encode("utf-8", "replace"))
        if known is None or not right:
            self.failed.append(self.clock.monotonic())
            return None
        until = int(self.clock.now().timestamp()) + SESSION_SECONDS
        body = _encoded(
            json.dumps({"person": name, "until": until, "nonce": secrets.token_urlsafe(12)}).encode()
        )
        return f"{body}.{self._signature(known, 'session', body)}"

    def session(self, cookie: str) -> Session | None:
        """Whose cookie it is; None where it is nobody's (any more)."""
        body, _, signature = cookie.partition(".")
        try:
            said: Any = json.loads(_decoded(body))
            person, until = said["person"], said["until"]
        except (ValueError, KeyError, TypeError):
            return None
        if not isinstance(person, str) or not isinstance(until, int) or not _NAME.fullmatch(person):
            return None
        token = self._token(person)
        if token is None or not hmac.compare_digest(
            self._signature(token, "session", body).encode(), signature.encode("utf-8", "replace")
        ):
            return None
        if until <= self.clock.now().timestamp():
            return None
        return Session(person, self._signature(token, "csrf", body))

    def _throttled(self) -> bool:
        since = self.clock.monotonic() - ATTEMPT_SECONDS
        while self.failed and self.failed[0] < since:
            self.failed.popleft()
        return len(self.failed) >= ATTEMPTS

    def _token(self, name: str) -> str | None:
        value = self.store.get(f"{FOLDER}/{name}")
        return None if value is None or value.startswith(REVOKED) else value

    def _signature(self, token: str, purpose: str, body: str) -> str:
        server = self.store.get_or_create(SESSION_KEY, lambda: secrets.token_urlsafe(32))
        key = hmac.digest(server.encode(), token.encode(), hashlib.sha256)
        return _encoded(hmac.digest(key, f"{purpose}.{body}".encode(), hashlib.sha256))


def _secret(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:64]!r} cannot name a person here", hint="small letters, digits, and - . _ between them"
        )
    return f"{FOLDER}/{name}"


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
