"""A prescription as a signed document (RFC 7515, JWS compact form, ES256).

The signed bytes are the prescription: whoever holds the document and the public key set can check, without asking this
service, who prescribed what to whom, when, and that not a character was changed. What a signature cannot say (revoked,
dispensed) is the status, which this service answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

ALGORITHM: Final = "ES256"
DOCUMENT_TYPE: Final = "prescription+jws"
"""The `typ` header: a signed document of another kind, such as an access token, is none (RFC 8725, 3.11)."""

CodeSystem = Literal["ATC", "CIS"]


class Status(StrEnum):
    ACTIVE = "active"
    DISPENSED = "dispensed"
    REVOKED = "revoked"


class BadPrescription(Exception):
    """Not an unaltered prescription signed with one of the keys. The message says which check failed."""


class StatusRefused(Exception):
    """A change of status that is not allowed. The message is fit for the caller."""


@dataclass(frozen=True, slots=True)
class Item:
    """One medicine: a code of the ATC classification (WHO) or the French CIS register, how to take it, how much."""

    system: CodeSystem
    code: str
    dosage: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Prescription:
    """What is signed. People appear as their pseudonymous subject ids."""

    id: str
    issuer: str
    patient: str
    prescriber: str
    consultation: str
    items: tuple[Item, ...]
    issued: datetime
    expires: datetime

    def claims(self) -> dict[str, Any]:
        return {
            "iss": self.issuer,
            "jti": self.id,
            "sub": self.patient,
            "prescriber": self.prescriber,
            "consultation": self.consultation,
            "items": [asdict(item) for item in self.items],
            "iat": int(self.issued.timestamp()),
            "exp": int(self.expires.timestamp()),
        }

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Prescription:
        """Raise BadPrescription when a claim is missing or of the wrong kind."""
        try:
            return cls(
                id=str(claims["jti"]),
                issuer=str(claims["iss"]),
                patient=str(claims["sub"]),
                prescriber=str(claims["prescriber"]),
                consultation=str(claims["consultation"]),
                items=tuple(Item(**item) for item in claims["items"]),
                issued=datetime.fromtimestamp(claims["iat"], UTC),
                expires=datetime.fromtimestamp(claims["exp"], UTC),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadPrescription("the signed content is not that of a prescription") from error


def sign(prescription: Prescription, key: ECKey, kid: str) -> str:
    """The prescription in JWS compact form, signed with the private P-256 `key`."""
    header = {"alg": ALGORITHM, "kid": kid, "typ": DOCUMENT_TYPE}
    payload = json.dumps(prescription.claims(), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return jws.serialize_compact(header, payload.encode(), key, algorithms=[ALGORITHM])


def verify(document: str, keys: KeySet) -> Prescription:
    """The prescription that was signed. Raise BadPrescription for anything that is not one, or not unaltered.

    Expiry is not judged here: an expired prescription is still a genuine one.
    """
    try:
        signed = jws.deserialize_compact(document, keys, algorithms=[ALGORITHM])
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise BadPrescription("the signature does not verify with the published keys") from error
    if signed.headers().get("typ") != DOCUMENT_TYPE:
        raise BadPrescription(f"the document's type is not {DOCUMENT_TYPE}")
    try:
        claims = json.loads(signed.payload)
    except ValueError as error:
        raise BadPrescription("the signed content is not JSON") from error
    if not isinstance(claims, dict):
        raise BadPrescription("the signed content is not that of a prescription")
    return Prescription.from_claims(cast("dict[str, Any]", claims))


def next_status(current: Status, wanted: Status, *, expired: bool) -> Status:
    """The status after a revocation or a dispensing; raise StatusRefused when it is too late for it."""
    if current is not Status.ACTIVE:
        raise StatusRefused(f"the prescription is already {current}")
    if wanted is Status.ACTIVE:
        raise StatusRefused("a prescription is not made active again: issue a new one")
    if wanted is Status.DISPENSED and expired:
        raise StatusRefused("the prescription has expired")
    return wanted
