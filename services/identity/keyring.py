"""Signing keys with rotation: the newest key that is due signs, every key verifies."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from joserfc.jwk import ECKey

T = TypeVar("T")


class KeyringError(Exception):
    """The keyring file cannot be used; the message says why, without key material."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One P-256 key, in use from `not_before` (seconds since the epoch) until a newer one is due."""

    kid: str
    not_before: int
    key: ECKey = field(repr=False)

    def public(self) -> dict[str, Any]:
        """The key as it is published."""
        document = dict(self.key.as_dict(private=False))
        return document | {"kid": self.kid, "use": "sig", "alg": "ES256"}


@dataclass(frozen=True, slots=True)
class Keyring:
    """Every signing key."""

    keys: tuple[SigningKey, ...]

    def current(self, now: datetime) -> SigningKey:
        """The key to sign with; raises KeyringError when none is due yet."""
        due = [key for key in self.keys if key.not_before <= now.timestamp()]
        if not due:
            raise KeyringError("no signing key is due yet")
        return max(due, key=lambda key: key.not_before)

    def jwks(self) -> dict[str, Any]:
        """The public key set: future keys too, so that verifiers have them before they are used."""
        return {"keys": [key.public() for key in self.keys]}


def parse_keyring(entries: Sequence[Mapping[str, Any]]) -> Keyring:
    """Read `[{kid, private_pem, not_before}]`; raises KeyringError for what is no usable P-256 key ring."""
    try:
        keys = tuple(
            SigningKey(
                kid=str(entry["kid"]),
                not_before=int(entry["not_before"]),
                key=ECKey.import_key(str(entry["private_pem"]), {"kid": str(entry["kid"])}),
            )
            for entry in entries
        )
    except Exception as error:
        raise KeyringError(f"the keyring is malformed: {type(error).__name__}") from None
    if not keys:
        raise KeyringError("the keyring is empty")
    if len({key.kid for key in keys}) != len(keys):
        raise KeyringError("two keys have the same kid")
    if any(key.key.curve_name != "P-256" or not key.key.is_private for key in keys):
        raise KeyringError("every key must be a private P-256 key")
    return Keyring(keys)


class ReloadedFile(Generic[T]):
    """A parsed file, read again when it changes; the last good version stays while a new one is unreadable."""

    def __init__(self, path: Path, parse: Callable[[Any], T]) -> None:
        self._path = path
        self._parse = parse
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._value: T | None = None

    def get(self) -> T:
        """The current value; raises what reading or parsing raised when there was never a good one."""
        with self._lock:
            try:
                stat = self._path.stat()
                stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
                if self._value is None or stamp != self._stamp:
                    self._value = self._parse(json.loads(self._path.read_text(encoding="utf-8")))
                    self._stamp = stamp
            except Exception:
                if self._value is None:
                    raise
            return self._value
