"""Signing keys from a secret file, with rotation: `[{"kid", "private_pem", "not_before"}]`, P-256.

The newest key whose time has come signs; every key is published, those to come included, so that verifiers know a key
before it is used and long after.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from joserfc.jwk import ECKey, KeySet

from services.common.reloaded import ReloadedFile
from services.common.settings import Settings, SettingsError

ALGORITHM = "ES256"


@dataclass(frozen=True, slots=True)
class RingKey:
    """One key of a ring."""

    kid: str
    not_before: datetime
    key: ECKey = field(repr=False)

    def public(self) -> dict[str, Any]:
        """The public half as a JSON Web Key (RFC 7517)."""
        return {**self.key.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": ALGORITHM}


class KeyRing:
    """The signing keys of one purpose."""

    def __init__(self, keys: Sequence[RingKey]) -> None:
        self._keys = sorted(keys, key=lambda key: (key.not_before, key.kid))

    @classmethod
    def parse(cls, text: str, *, what: str) -> KeyRing:
        """Read a ring from the text of its secret file, which `what` names in errors.

        Raises SettingsError, which never repeats any of the text.
        """
        try:
            keys = [_ring_key(entry) for entry in cast("list[dict[str, Any]]", json.loads(text))]
        except Exception:
            raise SettingsError(f"{what} is not a list of {{kid, private_pem, not_before}}") from None
        if not keys or len({key.kid for key in keys}) < len(keys):
            raise SettingsError(f"{what} must hold keys, each with a kid of its own")
        if any(key.key.curve_name != "P-256" or not key.key.is_private for key in keys):
            raise SettingsError(f"{what} must hold private P-256 keys")
        return cls(keys)

    def signing_key(self, now: datetime) -> RingKey:
        """The newest key whose time has come; the first of all while none has."""
        current = [key for key in self._keys if key.not_before <= now]
        return current[-1] if current else self._keys[0]

    def key_set(self) -> KeySet:
        """Every public key, for verifying."""
        return KeySet.import_key_set(cast("Any", self.document()))

    def document(self) -> dict[str, Any]:
        """The public key set (RFC 7517)."""
        return {"keys": [key.public() for key in self._keys]}


def ring_file(settings: Settings, name: str) -> ReloadedFile[KeyRing]:
    """The ring in the secret file `name`, read again when that changes; raises SettingsError for a bad one now."""
    return ReloadedFile(settings.secrets_dir / name, partial(KeyRing.parse, what=f"secret {name}"))


def _ring_key(entry: dict[str, Any]) -> RingKey:
    not_before = datetime.fromtimestamp(float(entry["not_before"]), UTC)
    return RingKey(str(entry["kid"]), not_before, ECKey.import_key(str(entry["private_pem"])))
