"""Who takes part in a consultation."""

from __future__ import annotations

from services.common.audit import AuditEntry
from services.common.auth import Principal
from services.common.problems import not_found
from services.consultation.models import Consultation
from services.consultation.rules import Party


def denied(consultation: Consultation, principal: Principal, action: str) -> AuditEntry:
    """The record of an attempt that was refused."""
    return AuditEntry(action, f"consultations/{consultation.id}", principal, consultation.patient, "denied")


def check_party(consultation: Consultation | None, principal: Principal, action: str) -> Party | None:
    """Which party the caller is, None for a service; 404 for anybody else, and the attempt is recorded."""
    if consultation is None:
        raise not_found("consultation")
    if principal.role == "service":
        return None
    party = Party(principal.role)
    owner = consultation.patient if party is Party.PATIENT else consultation.practitioner
    if principal.subject != owner:
        raise not_found("consultation", audit=denied(consultation, principal, action))
    return party
