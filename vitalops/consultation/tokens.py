"""Signed documents as a third party checks them, and as somebody without the key would forge them."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any, Final, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from vitalops.consultation.walk import StepFailed

ALGORITHM: Final = "ES256"
PRESCRIPTION_TYPE: Final = "prescription+jws"
ACCESS_TOKEN_TYPE: Final = "at+jwt"


class Refused(Exception):
    """A third party would not accept the document; the message says why."""


def key_set(document: Mapping[str, Any]) -> KeySet:
    """A published key set (RFC 7517). Raises StepFailed where it holds no key, or a private one."""
    keys: list[dict[str, Any]] = document.get("keys", [])
    if not keys:
        raise StepFailed("the published key set is empty")
    if any("d" in key for key in keys):
        raise StepFailed("the published key set holds a private key")
    return KeySet.import_key_set(cast(Any, {"keys": keys}))


def checked_prescription(document: str, keys: KeySet) -> dict[str, Any]:
    """The signed content of a prescription, if `keys` say it is genuine: no service is asked.

    Raises Refused for a wrong signature, algorithm or kind of document.
    """
    try:
        signed = jws.deserialize_compact(document, keys, algorithms=[ALGORITHM])
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Refused(f"{type(error).__name__}: {error}") from error
    kind = signed.headers().get("typ")
    if kind != PRESCRIPTION_TYPE:
        raise Refused(f"its type is {kind}, not {PRESCRIPTION_TYPE}")
    return json.loads(signed.payload or b"{}")


def part(token: str, index: int) -> dict[str, Any]:
    """Header (0) or payload (1) of a compact JWS, unchecked. Raises StepFailed for what is no JWS."""
    try:
        text = token.split(".")[index]
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (IndexError, ValueError) as error:
        raise StepFailed(f"what should be a signed token is none: {error}") from error


def altered(token: str, **changes: Any) -> str:
    """The token with other content under its old signature."""
    header, _, signature = token.split(".")
    return f"{header}.{_encoded({**part(token, 1), **changes})}.{signature}"


def unsigned(token: str, **changes: Any) -> str:
    """The token with algorithm `none` and no signature (RFC 7515, appendix A.5)."""
    header = {**part(token, 0), "alg": "none"}
    return f"{_encoded(header)}.{_encoded({**part(token, 1), **changes})}."


def signed_by_stranger(token: str, **changes: Any) -> str:
    """The token's content under the key id it names, signed with a key made up here."""
    return _signed(part(token, 0), {**part(token, 1), **changes}, ECKey.generate_key("P-256"))


def keyed_by_hmac(token: str, keys: KeySet, **changes: Any) -> str:
    """The token as HS256, "signed" with the public key as if it were a shared secret (RFC 8725, 2.1)."""
    import hashlib
    import hmac

    header = {**part(token, 0), "alg": "HS256"}
    public = cast(ECKey, keys.get_by_kid(header["kid"])).as_pem(private=False)
    content = f"{_encoded(header)}.{_encoded({**part(token, 1), **changes})}"
    mac = hmac.digest(public, content.encode(), hashlib.sha256)
    return f"{content}.{_base64url(mac)}"


def expired(token: str, private_pem: str, kid: str, now: float) -> str:
    """The token's content, truly signed by the platform's key, two hours old and expired for one hour."""
    times = {"iat": int(now) - 7200, "exp": int(now) - 3600, "jti": uuid.uuid4().hex}
    header = {**part(token, 0), "kid": kid}
    return _signed(header, {**part(token, 1), **times}, ECKey.import_key(private_pem))


def _signed(header: dict[str, Any], payload: dict[str, Any], key: ECKey) -> str:
    content = json.dumps(payload, separators=(",", ":")).encode()
    return jws.serialize_compact(header, content, key, algorithms=[ALGORITHM])


def _encoded(document: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(document, separators=(",", ":")).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
