"""Asking the consent service whether a practitioner may use a patient's data."""

from __future__ import annotations

from typing import Any, Literal

from services.common.audit import AuditEntry
from services.common.context import ServiceContext
from services.common.problems import ProblemError
from services.common.service_client import dependency_unavailable

CONSENT = "consent"
Purpose = Literal["care", "teleconsultation", "recording"]


def consents(context: ServiceContext, *, patient: str, practitioner: str, purpose: Purpose) -> bool:
    """Whether the patient consents to this practitioner and purpose now.

    Raises ProblemError 503 when it cannot be known. Call it before taking row locks.
    """
    parameters = {"patient": patient, "practitioner": practitioner, "purpose": purpose}
    response = context.client.get(CONSENT, "/v1/decisions", params=parameters)
    if response.status_code != 200:
        raise dependency_unavailable(CONSENT)
    decision: dict[str, Any] = response.json()
    return decision.get("allowed") is True


def require_consent(
    context: ServiceContext, *, patient: str, practitioner: str, purpose: Purpose, attempt: AuditEntry
) -> None:
    """Return when the patient consents to this practitioner and purpose now.

    Raises ProblemError 403 (and has `attempt`, of outcome `denied`, recorded) when not, 503 when it cannot be known.
    Call it before taking row locks.
    """
    if not consents(context, patient=patient, practitioner=practitioner, purpose=purpose):
        raise ProblemError(
            403,
            "consent-required",
            "Forbidden",
            f"The patient has not consented to this practitioner for: {purpose}.",
            extra={"purpose": purpose},
            audit=attempt,
        )
