"""Passwords, second factors and fields that must not be readable in a stolen database."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import threading
from datetime import datetime

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOTP_STEP_SECONDS = 30
_TOTP_WINDOW = 1
_NONCE_BYTES = 12


def token_digest(token: str) -> str:
    """What is stored of a random token: enough to find it, useless to whoever reads it."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    """256 random bits for a URL."""
    return secrets.token_urlsafe(32)


class Passwords:
    """Argon2id with OWASP's lower memory profile; few at a time, so that a rush of sign-ins fits in memory."""

    def __init__(self, *, memory_kib: int = 19_456, passes: int = 2, at_once: int = 3) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._room = threading.BoundedSemaphore(at_once)
        # Compared against when there is no such person, so that both answers take as long.
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))

    def hash(self, password: str) -> str:
        """The string to store."""
        with self._room:
            return self._hasher.hash(password)

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password fits; as slow for `None` (no such person) as for anybody."""
        with self._room:
            try:
                return self._hasher.verify(stored or self._nobody, password) and stored is not None
            except (VerificationError, InvalidHashError):
                return False


class FieldCipher:
    """AES-256-GCM for single columns, bound to the row they belong to."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"vitalops identity fields " + secret.encode()).digest()
        self._cipher = AESGCM(self._key)

    def seal(self, text: str, *, owner: str) -> str:
        """Encrypt a text for one owner."""
        nonce = os.urandom(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), owner.encode())).decode()

    def open(self, sealed: str, *, owner: str) -> str:
        """Decrypt; raises ValueError when it is not this owner's or was tampered with."""
        raw = base64.b64decode(sealed)
        try:
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], owner.encode()).decode()
        except InvalidTag:
            raise ValueError("the field does not belong to this row") from None

    def pseudonym(self, text: str) -> str:
        """A keyed digest, for looking something up without storing it."""
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def new_totp_secret() -> str:
    """160 random bits in base32 (RFC 4226, section 4, requirement 6)."""
    return pyotp.random_base32()


def totp_uri(secret: str, label: str) -> str:
    """The provisioning URI that an authenticator application reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=label, issuer_name="Vitalops")


def matching_step(secret: str, code: str, now: datetime, *, last_step: int) -> int | None:
    """The time step (RFC 6238) whose code this is, within one step of now and later than the last one used.

    None when there is none: a code can be used once (RFC 6238, section 5.2).
    """
    if len(code) != 6 or not code.isascii() or not code.isdigit():
        return None
    generator = pyotp.HOTP(secret)
    current = int(now.timestamp()) // TOTP_STEP_SECONDS
    found: int | None = None
    for step in range(current - _TOTP_WINDOW, current + _TOTP_WINDOW + 1):
        if hmac.compare_digest(generator.at(step), code) and step > last_step:
            found = step
    return found
