"""HTTP interface of consent."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.audit import record_audit
from services.common.auth import Principal, require
from services.common.context import ServiceContext, service_context
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.openapi import problems
from services.common.problems import conflict, not_found, unprocessable
from services.common.types import Body, Slug, View
from services.consent.models import Grant
from services.consent.purposes import PURPOSES
from services.consent.rules import Period, Reason, decide, proof_of

router = APIRouter(tags=["consent"])

ContextDep = Annotated[ServiceContext, Depends(service_context)]
PatientDep = Annotated[Principal, Depends(require(role="patient"))]


class PurposeView(View):
    """A purpose with the words to show before asking."""

    name: Slug
    version: int
    text: str
    sha256: str


class GrantRequest(Body):
    """Consent given by the calling patient."""

    practitioner: uuid.UUID = Field(description="Subject of the practitioner")
    purpose: Slug = Field(examples=["care"])
    text_version: int = Field(
        ge=1, le=1_000_000, description="Version of the text that was shown", examples=[1]
    )


class GrantView(View):
    """A grant as kept, withdrawn or not."""

    id: uuid.UUID
    patient: str
    practitioner: str
    purpose: str
    text_version: int
    text_sha256: str
    granted_at: datetime
    withdrawn_at: datetime | None
    proof: str = Field(description="SHA-256 that binds the facts of this consent")


class GrantList(View):
    """Grants, newest first."""

    grants: list[GrantView]


class DecisionView(View):
    """Whether a use is covered now."""

    allowed: bool
    reason: Reason
    grant: uuid.UUID | None
    decided_at: datetime


@router.get("/v1/purposes")
def list_purposes(
    _: Annotated[Principal, Depends(require(role={"patient", "practitioner", "service", "operator"}))],
) -> list[PurposeView]:
    """Every purpose with its current text."""
    return [PurposeView.model_validate(purpose) for purpose in PURPOSES.values()]


@router.post("/v1/grants", status_code=201, response_model=GrantView)
def grant(
    body: GrantRequest, principal: PatientDep, context: ContextDep, session: SessionDep, once: OnceDep
) -> Response:
    """Give consent to one practitioner for one purpose. 409 when it is already given."""

    def effect() -> GrantView:
        purpose = PURPOSES.get(body.purpose)
        if purpose is None:
            raise unprocessable("There is no such purpose.", type="unknown-purpose")
        if purpose.version != body.text_version:
            raise unprocessable("The text has a newer version: show it again.", type="outdated-text")
        practitioner = str(body.practitioner)
        for existing in _grants(session, principal.subject, practitioner, purpose.name):
            if existing.withdrawn_at is None:
                raise conflict("This consent is already given.", type="already-granted")
        identifier, now = uuid.uuid4(), context.clock.now()
        row = Grant(
            id=identifier,
            patient=principal.subject,
            practitioner=practitioner,
            purpose=purpose.name,
            text_version=purpose.version,
            text_sha256=purpose.sha256,
            granted_at=now,
            withdrawn_at=None,
            proof=proof_of(
                grant_id=str(identifier),
                patient=principal.subject,
                practitioner=practitioner,
                purpose=purpose.name,
                text_version=purpose.version,
                text_sha256=purpose.sha256,
                granted_at=now,
                token_id=principal.token_id,
            ),
        )
        session.add(row)
        session.flush()
        record_audit(
            session,
            principal,
            "consent.granted",
            f"grants/{identifier}",
            patient=principal.subject,
            detail={"purpose": purpose.name, "practitioner": practitioner},
        )
        return GrantView.model_validate(row)

    return once(effect, location=lambda view: f"/consent/v1/grants/{view.id}")


@router.get("/v1/grants")
def list_grants(
    principal: PatientDep,
    session: SessionDep,
    active: Annotated[bool, Query(description="Leave the withdrawn ones out")] = False,
) -> GrantList:
    """The caller's own consents, withdrawn ones included."""
    query = (
        select(Grant).where(Grant.patient == principal.subject).order_by(Grant.granted_at.desc(), Grant.id)
    )
    if active:
        query = query.where(Grant.withdrawn_at.is_(None))
    return GrantList(grants=[GrantView.model_validate(row) for row in session.scalars(query.limit(1000))])


@router.get("/v1/grants/{grant_id}")
def read_grant(grant_id: uuid.UUID, principal: PatientDep, session: SessionDep) -> GrantView:
    """One of the caller's own consents."""
    return GrantView.model_validate(_own(session, grant_id, principal))


@router.post(
    "/v1/grants/{grant_id}/withdrawal", status_code=201, response_model=GrantView, responses=problems(409)
)
def withdraw(
    grant_id: uuid.UUID, principal: PatientDep, context: ContextDep, session: SessionDep, once: OnceDep
) -> Response:
    """Withdraw a consent, from this moment on."""

    def effect() -> GrantView:
        row = _own(session, grant_id, principal, lock=True)
        if row.withdrawn_at is not None:
            raise conflict("This consent is already withdrawn.", type="already-withdrawn")
        row.withdrawn_at = context.clock.now()
        session.flush()
        record_audit(
            session, principal, "consent.withdrawn", f"grants/{row.id}", patient=row.patient,
            detail={"purpose": row.purpose, "practitioner": row.practitioner},
        )  # fmt: skip
        return GrantView.model_validate(row)

    return once(effect)


@router.get("/v1/decisions")
def decision(
    _: Annotated[Principal, Depends(require(role="service"))],
    patient: Annotated[uuid.UUID, Query(description="Subject of the patient")],
    practitioner: Annotated[uuid.UUID, Query(description="Subject of the practitioner")],
    purpose: Annotated[Slug, Query(examples=["care"])],
    context: ContextDep,
    session: SessionDep,
) -> DecisionView:
    """Whether a practitioner may now use a patient's data for a purpose. For services only."""
    grants = _grants(session, str(patient), str(practitioner), purpose)
    now = context.clock.now()
    outcome = decide([Period(grant.granted_at, grant.withdrawn_at) for grant in grants], now)
    return DecisionView(
        allowed=outcome.allowed,
        reason=outcome.reason,
        grant=next((grant.id for grant in grants if grant.withdrawn_at is None), None)
        if outcome.allowed
        else None,
        decided_at=now,
    )


def _grants(session: Session, patient: str, practitioner: str, purpose: str) -> list[Grant]:
    query = select(Grant).where(
        Grant.patient == patient, Grant.practitioner == practitioner, Grant.purpose == purpose
    )
    return list(session.scalars(query))


def _own(session: Session, grant_id: uuid.UUID, principal: Principal, *, lock: bool = False) -> Grant:
    row = session.get(Grant, grant_id, with_for_update=lock)
    if row is None or row.patient != principal.subject:
        raise not_found("grant")
    return row
