"""Bodies and responses of prescription."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from services.common.types import Body, Line, View
from services.prescription.rules import Status

Document = Annotated[str, StringConstraints(min_length=1, max_length=20_000, pattern=r"^[A-Za-z0-9_.-]+$")]
Reason = Literal["written-in-error", "adverse-reaction", "interaction", "no-longer-needed"]


class ItemBody(Body):
    """One medicine."""

    system: Literal["ATC", "CIS"] = Field(description="WHO's ATC classification, or the French CIS register")
    code: Annotated[str, StringConstraints(pattern=r"^([A-Z][0-9]{2}[A-Z]{2}[0-9]{2}|[0-9]{8})$")] = Field(
        examples=["J01CA04"]
    )
    dosage: Line = Field(examples=["1 capsule three times a day for 6 days"])
    quantity: int = Field(ge=1, le=1000, description="Units to dispense", examples=[18])


class PrescriptionRequest(Body):
    """What the calling practitioner prescribes to the patient of one of their consultations."""

    consultation_id: uuid.UUID
    items: Annotated[list[ItemBody], Field(min_length=1, max_length=20)]
    valid_days: int = Field(default=90, ge=1, le=365)


class PrescriptionView(View):
    """A prescription: the signed document, and its content for reading."""

    id: uuid.UUID
    consultation_id: uuid.UUID
    patient: str
    prescriber: str
    items: list[ItemBody]
    issued_at: datetime
    expires_at: datetime
    status: Status
    status_at: datetime
    revocation_reason: str
    document: str = Field(
        description="JWS in compact form; verify it with /.well-known/prescription-jwks.json"
    )


class PrescriptionList(View):
    """Prescriptions, newest first."""

    prescriptions: list[PrescriptionView]


class StatusView(View):
    """All that a pharmacist needs besides the document itself."""

    id: uuid.UUID
    status: Status
    expires_at: datetime


class DocumentBody(Body):
    """A signed document as somebody presents it."""

    document: Document


class VerificationView(View):
    """What became of checking a document."""

    genuine: bool = Field(description="Signed with one of the published keys and not altered")
    problem: str = Field(description="Why it is not genuine; empty when it is")
    id: str
    status: Status | None = Field(description="Null for a document that is not genuine or not known here")
    expired: bool


class RevocationRequest(Body):
    """Why a prescription is taken back; a code, since free text would be health data in the audit trail."""

    reason: Reason


class KeySet(JSONResponse):
    """A key set as RFC 7517, section 8.5.2 has it sent."""

    media_type = "application/jwk-set+json"
