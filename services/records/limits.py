"""A patient's own limits for what their remote monitors measure: set by a practitioner, seen by both."""

from __future__ import annotations

import uuid
from typing import Annotated, Self

from fastapi import APIRouter, Depends
from pydantic import Field, model_validator
from sqlalchemy.orm import Session

from services.common.access import record_access
from services.common.audit import record_audit
from services.common.auth import Principal, require
from services.common.context import ServiceContext, service_context
from services.common.db import SessionDep
from services.common.problems import not_found, unprocessable
from services.common.types import Body, View
from services.records.models import MonitorLimit
from services.records.monitor import WATCHED, Limits
from services.records.rights import check_access

router = APIRouter(tags=["monitors"])

ContextDep = Annotated[ServiceContext, Depends(service_context)]


class LimitsRequest(Body):
    """Values within which no alert is raised; null: no limit on that side."""

    low: float | None = Field(ge=0, le=100_000)
    high: float | None = Field(ge=0, le=100_000)

    @model_validator(mode="after")
    def in_order(self) -> Self:
        """The lower limit is below the upper one."""
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low is not below high")
        return self


class LimitsView(View):
    """The limits that hold for a patient."""

    code: str = Field(description="LOINC code of the measurement")
    unit: str
    low: float | None
    high: float | None
    own: bool = Field(description="Whether a practitioner set them for this patient")


class LimitsList(View):
    """The limits of everything that is watched."""

    limits: list[LimitsView]


def own_limits(session: Session, patient: str, code: str) -> Limits | None:
    """The limits a practitioner set for this patient and measurement, if any."""
    row = session.get(MonitorLimit, (patient, code))
    return Limits(row.low, row.high) if row is not None else None


@router.get("/v1/patients/{patient_id}/monitor-limits")
def list_limits(
    patient_id: uuid.UUID,
    principal: Annotated[Principal, Depends(require(role={"patient", "practitioner"}))],
    context: ContextDep,
    session: SessionDep,
) -> LimitsList:
    """What a patient's monitors are watched for: the patient's own limits, or else everybody's."""
    patient, resource = str(patient_id), f"monitor-limits/{patient_id}"
    check_access(context, principal, patient=patient, action="record.read", resource=resource)
    record_access(session, principal, "record.read", resource, patient=patient)
    return LimitsList(limits=[_view(code, own_limits(session, patient, code)) for code in WATCHED])


@router.put("/v1/patients/{patient_id}/monitor-limits/{code}")
def set_limits(
    patient_id: uuid.UUID,
    code: str,
    body: LimitsRequest,
    principal: Annotated[Principal, Depends(require(role="practitioner"))],
    context: ContextDep,
    session: SessionDep,
) -> LimitsView:
    """Set a consenting patient's own limits for one measurement, in place of everybody's."""
    watched = WATCHED.get(code)
    if watched is None:
        raise not_found("measurement")
    patient, resource = str(patient_id), f"monitor-limits/{patient_id}/{code}"
    check_access(context, principal, patient=patient, action="monitor.limits-set", resource=resource)
    if max(body.low or 0, body.high or 0) > watched.most:
        raise unprocessable(
            f"No device measures more than {watched.most:g} {watched.unit}.", type="implausible"
        )
    session.merge(
        MonitorLimit(
            patient=patient,
            code=code,
            low=body.low,
            high=body.high,
            author=principal.subject,
            set_at=context.clock.now(),
        )
    )
    session.flush()
    record_audit(session, principal, "monitor.limits-set", resource, patient=patient, detail={"code": code})
    return _view(code, Limits(body.low, body.high))


def _view(code: str, own: Limits | None) -> LimitsView:
    watched = WATCHED[code]
    limits = own or watched.limits
    return LimitsView(code=code, unit=watched.unit, low=limits.low, high=limits.high, own=own is not None)
