"""Who may see and change whose record.

A patient: their own, reading all of it, writing the Patient resource and adding what their remote monitors measure. A
practitioner: that of patients who consent to their care, reading all of it and writing all but the Patient resource.
Nobody else.
"""

from __future__ import annotations

from services.common.audit import AuditEntry
from services.common.auth import Principal
from services.common.consent_check import require_consent
from services.common.context import ServiceContext
from services.common.problems import forbidden, not_found
from services.records.fhir import ResourceType


def check_access(
    context: ServiceContext, principal: Principal, *, patient: str, action: str, resource: str
) -> None:
    """Return when `principal` may see the record of `patient`.

    404 for another patient, 403 for a practitioner without the patient's consent; either attempt is recorded.
    """
    attempt = AuditEntry(action, resource, principal, patient, "denied")
    if principal.role == "patient":
        if principal.subject != patient:
            raise not_found("resource", audit=attempt)
        return
    require_consent(context, patient=patient, practitioner=principal.subject, purpose="care", attempt=attempt)


def check_writer(principal: Principal, kind: ResourceType, *, measured: bool = False) -> None:
    """Return when somebody of this role writes resources of this type; `measured`: what a remote monitor sends."""
    if measured and principal.role == "patient":
        return
    if (principal.role == "patient") != (kind == "Patient"):
        writer = "patient" if kind == "Patient" else "practitioner"
        raise forbidden(f"A {kind} is written by the {writer}.")
