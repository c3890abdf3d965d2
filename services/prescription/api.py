"""HTTP interface of prescription."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.access import record_access
from services.common.audit import AuditEntry, record_audit
from services.common.auth import Principal, require
from services.common.context import ServiceContext, service_context, service_state
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.keyring import KeyRing
from services.common.openapi import problems
from services.common.outbox import enqueue
from services.common.problems import ProblemError, conflict, not_found, unprocessable
from services.prescription.models import PrescriptionRow
from services.prescription.rules import (
    BadPrescription,
    Item,
    Prescription,
    Status,
    StatusRefused,
    next_status,
    sign,
    verify,
)
from services.prescription.state import PrescriptionState
from services.prescription.views import (
    DocumentBody,
    ItemBody,
    KeySet,
    PrescriptionList,
    PrescriptionRequest,
    PrescriptionView,
    RevocationRequest,
    StatusView,
    VerificationView,
)

router = APIRouter(tags=["prescription"])


StateDep = Annotated[PrescriptionState, Depends(service_state)]


def _keys(state: StateDep) -> KeyRing:
    """The keys as they are now: one version for the whole request."""
    return state.ring.get()


ContextDep = Annotated[ServiceContext, Depends(service_context)]
KeysDep = Annotated[KeyRing, Depends(_keys)]
PractitionerDep = Annotated[Principal, Depends(require(role="practitioner"))]
PartyDep = Annotated[Principal, Depends(require(role={"patient", "practitioner"}))]
AnyoneDep = Annotated[Principal, Depends(require(role={"patient", "practitioner", "service", "operator"}))]

# States of a consultation after which nothing can be prescribed from it.
_DID_NOT_HAPPEN = frozenset({"booked", "waiting", "cancelled", "missed"})


@router.get("/.well-known/prescription-jwks.json", response_class=KeySet)
def key_set(keys: KeysDep) -> Response:
    """The public keys that verify prescriptions (RFC 7517). Needs no token."""
    headers = {"cache-control": "public, max-age=300"}
    return KeySet(keys.document(), headers=headers)


@router.post("/v1/prescriptions", status_code=201, response_model=PrescriptionView)
def prescribe(
    body: PrescriptionRequest,
    principal: PractitionerDep,
    context: ContextDep,
    state: StateDep,
    keys: KeysDep,
    session: SessionDep,
    once: OnceDep,
) -> Response:
    """Sign a prescription for the patient of one's own consultation. Needs a sign-in with a second factor."""

    def effect() -> PrescriptionView:
        with state.metrics.attempt(session):
            return signed()

    def signed() -> PrescriptionView:
        patient = _patient_of(context, body.consultation_id, principal)
        now = context.clock.now().replace(microsecond=0)
        prescription = Prescription(
            id=str(uuid.uuid4()),
            issuer=f"{context.settings.issuer.removesuffix('/identity')}/prescription",
            patient=patient,
            prescriber=principal.subject,
            consultation=str(body.consultation_id),
            items=tuple(Item(item.system, item.code, item.dosage, item.quantity) for item in body.items),
            issued=now,
            expires=now + timedelta(days=body.valid_days),
        )
        key = keys.signing_key(now)
        row = PrescriptionRow(
            id=uuid.UUID(prescription.id),
            patient=patient,
            prescriber=principal.subject,
            consultation_id=body.consultation_id,
            document=sign(prescription, key.key, key.kid),
            issued_at=now,
            expires_at=prescription.expires,
            status=Status.ACTIVE,
            status_at=now,
            revocation_reason="",
        )
        session.add(row)
        session.flush()
        _audit(session, principal, "prescription.issued", row, key=key.kid)
        enqueue(
            session,
            "notification",
            "/v1/notifications",
            {"subject": patient, "template": "prescription-issued", "reference": f"prescriptions/{row.id}"},
        )
        return _view(row, keys)

    return once(effect, location=lambda view: f"/prescription/v1/prescriptions/{view.id}")


@router.get("/v1/prescriptions")
def list_prescriptions(
    principal: PartyDep,
    session: SessionDep,
    keys: KeysDep,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many")] = 50,
) -> PrescriptionList:
    """A patient's own prescriptions, or those that a practitioner wrote."""
    owner = PrescriptionRow.patient if principal.role == "patient" else PrescriptionRow.prescriber
    query = select(PrescriptionRow).where(owner == principal.subject)
    rows = session.scalars(
        query.order_by(PrescriptionRow.issued_at.desc(), PrescriptionRow.id).limit(limit)
    ).all()
    for row in rows:
        _access(session, principal, row)
    return PrescriptionList(prescriptions=[_view(row, keys) for row in rows])


@router.get("/v1/prescriptions/{prescription_id}")
def read_prescription(
    prescription_id: uuid.UUID, principal: PartyDep, session: SessionDep, keys: KeysDep
) -> PrescriptionView:
    """One prescription, for its patient and its prescriber."""
    row = session.get(PrescriptionRow, prescription_id)
    if row is None:
        raise not_found("prescription")
    _check(row, principal, "prescription.read", owners=(row.patient, row.prescriber))
    _access(session, principal, row)
    return _view(row, keys)


@router.get("/v1/prescriptions/{prescription_id}/status")
def read_status(prescription_id: uuid.UUID, _: AnyoneDep, session: SessionDep) -> StatusView:
    """Whether a prescription may still be dispensed; for whoever holds it, and nothing of its content."""
    row = session.get(PrescriptionRow, prescription_id)
    if row is None:
        raise not_found("prescription")
    return StatusView(id=row.id, status=Status(row.status), expires_at=row.expires_at)


@router.post("/v1/verify")
def check_document(
    body: DocumentBody, _: AnyoneDep, context: ContextDep, session: SessionDep, keys: KeysDep
) -> VerificationView:
    """Check a document as a third party would with the public keys, and tell its status."""
    try:
        prescription = verify(body.document, keys.key_set())
        identifier = uuid.UUID(prescription.id)
    except (BadPrescription, ValueError) as error:
        problem = str(error) if isinstance(error, BadPrescription) else "the identifier is malformed"
        return VerificationView(genuine=False, problem=problem, id="", status=None, expired=False)
    row = session.get(PrescriptionRow, identifier)
    return VerificationView(
        genuine=True,
        problem="",
        id=prescription.id,
        status=Status(row.status) if row is not None else None,
        expired=prescription.expires <= context.clock.now(),
    )


@router.post("/v1/prescriptions/{prescription_id}/revocation", responses=problems(409))
def revoke(
    prescription_id: uuid.UUID,
    body: RevocationRequest,
    principal: PractitionerDep,
    context: ContextDep,
    session: SessionDep,
    keys: KeysDep,
) -> PrescriptionView:
    """Take one's own prescription back. Doing so again changes nothing more."""
    row = session.get(PrescriptionRow, prescription_id, with_for_update=True)
    if row is None:
        raise not_found("prescription")
    _check(row, principal, "prescription.revoked", owners=(row.prescriber,))
    if row.status != Status.REVOKED:
        _change(row, Status.REVOKED, context)
        row.revocation_reason = body.reason
        _audit(session, principal, "prescription.revoked", row, reason=body.reason)
    return _view(row, keys)


@router.post("/v1/prescriptions/{prescription_id}/dispensing", responses=problems(409))
def dispense(
    prescription_id: uuid.UUID,
    body: DocumentBody,
    principal: Annotated[Principal, Depends(require(role="service"))],
    context: ContextDep,
    session: SessionDep,
) -> StatusView:
    """Record that a pharmacy's system dispensed it; it must present the document itself."""
    row = session.get(PrescriptionRow, prescription_id, with_for_update=True)
    if row is None:
        raise not_found("prescription")
    if body.document != row.document:
        raise unprocessable("This is not the prescription's document.", type="wrong-document")
    _change(row, Status.DISPENSED, context)
    _audit(session, principal, "prescription.dispensed", row)
    return StatusView(id=row.id, status=Status(row.status), expires_at=row.expires_at)


def _patient_of(context: ServiceContext, consultation_id: uuid.UUID, principal: Principal) -> str:
    """The patient of the caller's own consultation; somebody else's is as unknown as none."""
    response = context.client.get("consultation", f"/v1/consultations/{consultation_id}")
    consultation: dict[str, Any] = response.json() if response.status_code == 200 else {}
    if consultation.get("practitioner") != principal.subject:
        raise unprocessable("There is no such consultation of yours.", type="unknown-consultation")
    if consultation.get("state") in _DID_NOT_HAPPEN:
        raise conflict("The consultation has not taken place.", type="no-consultation")
    return str(consultation["patient"])


def _change(row: PrescriptionRow, wanted: Status, context: ServiceContext) -> None:
    now = context.clock.now()
    try:
        row.status = next_status(Status(row.status), wanted, expired=row.expires_at <= now)
    except StatusRefused as refusal:
        raise conflict(f"{str(refusal).capitalize()}.", type="prescription-state") from refusal
    row.status_at = now


def _check(row: PrescriptionRow, principal: Principal, action: str, *, owners: tuple[str, ...]) -> None:
    """404 for whoever is none of the owners; the attempt is recorded."""
    if principal.subject not in owners:
        attempt = AuditEntry(action, f"prescriptions/{row.id}", principal, row.patient, "denied")
        raise not_found("prescription", audit=attempt)


def _access(session: Session, principal: Principal, row: PrescriptionRow) -> None:
    record_access(session, principal, "prescription.read", f"prescriptions/{row.id}", patient=row.patient)


def _audit(session: Session, principal: Principal, action: str, row: PrescriptionRow, **detail: str) -> None:
    record_audit(session, principal, action, f"prescriptions/{row.id}", patient=row.patient, detail=detail)


def _view(row: PrescriptionRow, keys: KeyRing) -> PrescriptionView:
    # Read back through the signature: what is shown is what was signed, or nothing at all.
    try:
        content = verify(row.document, keys.key_set())
    except BadPrescription as error:
        found = AuditEntry("prescription.damaged", f"prescriptions/{row.id}", None, row.patient, "failure")
        raise ProblemError(
            500, "damaged", "Internal server error", "The archived document does not verify.", audit=found
        ) from error
    return PrescriptionView(
        id=row.id,
        consultation_id=row.consultation_id,
        patient=row.patient,
        prescriber=row.prescriber,
        items=[ItemBody.model_validate(asdict(item)) for item in content.items],
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        status=Status(row.status),
        status_at=row.status_at,
        revocation_reason=row.revocation_reason,
        document=row.document,
    )
