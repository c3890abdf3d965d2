"""HTTP interface of scheduling."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import AwareDatetime, Field
from sqlalchemy.orm import Session

from services.common.access import record_access
from services.common.audit import AuditEntry, record_audit
from services.common.auth import Principal, require
from services.common.context import ServiceContext, service_context
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.openapi import problems
from services.common.outbox import enqueue
from services.common.problems import conflict, not_found, unprocessable
from services.common.types import Body, View
from services.scheduling import store
from services.scheduling.models import Appointment
from services.scheduling.rules import (
    AppointmentStatus,
    Interval,
    SchedulingRefused,
    check_booking,
    check_cancellation,
    check_slot,
    reminder_due,
)

router = APIRouter(tags=["scheduling"])

ContextDep = Annotated[ServiceContext, Depends(service_context)]
PatientDep = Annotated[Principal, Depends(require(role="patient"))]
PractitionerDep = Annotated[Principal, Depends(require(role="practitioner"))]
PartyDep = Annotated[Principal, Depends(require(role={"patient", "practitioner"}))]
PartyOrServiceDep = Annotated[Principal, Depends(require(role={"patient", "practitioner", "service"}))]
Limit = Annotated[int, Query(ge=1, le=200, description="At most so many")]

BUSY = "slot-taken"


class SlotRequest(Body):
    """A time at which the calling practitioner can be booked."""

    starts_at: AwareDatetime
    ends_at: AwareDatetime


class SlotView(View):
    """A published slot."""

    id: uuid.UUID
    practitioner: str
    starts_at: datetime
    ends_at: datetime


class SlotList(View):
    """Free slots, soonest first."""

    slots: list[SlotView]


class BookingRequest(Body):
    """The slot that the calling patient books."""

    slot_id: uuid.UUID


class AppointmentView(View):
    """An appointment."""

    id: uuid.UUID
    slot_id: uuid.UUID
    patient: str
    practitioner: str
    starts_at: datetime
    ends_at: datetime
    status: AppointmentStatus
    booked_at: datetime
    cancelled_at: datetime | None
    cancelled_by: str = Field(description="Role of who cancelled it; empty while it is booked")


class AppointmentList(View):
    """The caller's appointments, soonest first."""

    appointments: list[AppointmentView]


@router.post("/v1/slots", status_code=201, response_model=SlotView)
def publish_slot(
    body: SlotRequest, principal: PractitionerDep, context: ContextDep, session: SessionDep, once: OnceDep
) -> Response:
    """Publish a slot. 409 when it overlaps another of the practitioner's."""

    def effect() -> SlotView:
        interval = Interval(body.starts_at, body.ends_at)
        try:
            check_slot(interval, context.clock.now())
        except SchedulingRefused as refusal:
            raise unprocessable(str(refusal), type="impossible-slot") from refusal
        store.lock_calendar(session, principal.subject)
        if store.overlaps_slot(session, principal.subject, interval):
            raise conflict("The slot overlaps another one.", type="slot-overlaps")
        slot = store.add_slot(session, principal.subject, interval)
        record_audit(session, principal, "slot.published", f"slots/{slot.id}")
        return SlotView.model_validate(slot)

    return once(effect, location=lambda view: f"/scheduling/v1/slots/{view.id}")


@router.get("/v1/slots")
def list_free_slots(
    _: PartyOrServiceDep,
    context: ContextDep,
    session: SessionDep,
    practitioner: Annotated[uuid.UUID | None, Query(description="Only this practitioner's")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Starting at or after; now by default")] = None,
    until: Annotated[
        AwareDatetime | None, Query(description="Starting before; two weeks on by default")
    ] = None,
    limit: Limit = 50,
) -> SlotList:
    """Slots that can be booked."""
    now = context.clock.now()
    slots = store.free_slots(
        session,
        since=since or now,
        until=until or now + timedelta(days=14),
        practitioner=str(practitioner) if practitioner else "",
        limit=limit,
    )
    return SlotList(slots=[SlotView.model_validate(slot) for slot in slots])


@router.delete("/v1/slots/{slot_id}", status_code=204, responses=problems(409))
def withdraw_slot(
    slot_id: uuid.UUID, principal: PractitionerDep, context: ContextDep, session: SessionDep
) -> Response:
    """Withdraw one's own slot. 409 while it is booked: cancel the appointment first."""
    slot = store.lock_slot(session, slot_id)
    if slot is None or slot.practitioner != principal.subject:
        raise not_found("slot")
    if store.is_booked(session, slot_id):
        raise conflict("The slot is booked: cancel the appointment first.", type=BUSY)
    slot.withdrawn_at = context.clock.now()
    record_audit(session, principal, "slot.withdrawn", f"slots/{slot_id}")
    return Response(status_code=204)


@router.post("/v1/appointments", status_code=201, response_model=AppointmentView, responses=problems(404))
def book(
    body: BookingRequest, principal: PatientDep, context: ContextDep, session: SessionDep, once: OnceDep
) -> Response:
    """Book a slot. 409 when it is taken or the patient has another appointment at that time."""

    def effect() -> AppointmentView:
        now = context.clock.now()
        slot = store.lock_slot(session, body.slot_id)
        if slot is None:
            raise not_found("slot")
        try:
            check_booking(slot.interval, now)
        except SchedulingRefused as refusal:
            raise unprocessable(str(refusal), type="slot-begun") from refusal
        if store.is_booked(session, slot.id):
            raise conflict("The slot is taken.", type=BUSY)
        if store.patient_is_busy(session, principal.subject, slot.interval):
            raise conflict("There is another appointment at that time.", type="overlapping-appointment")
        try:
            appointment = store.book(session, slot, principal.subject, now)
        except store.SlotTaken as taken:
            raise conflict("The slot is taken.", type=BUSY) from taken
        record_audit(
            session, principal, "appointment.booked", f"appointments/{appointment.id}", patient=appointment.patient,
            detail={"practitioner": appointment.practitioner},
        )  # fmt: skip
        for person in (appointment.patient, appointment.practitioner):
            _notify(session, person, "appointment-booked", appointment)
        due = reminder_due(appointment.interval, now)
        if due is not None:
            _notify(session, appointment.patient, "appointment-reminder", appointment, not_before=due)
        return AppointmentView.model_validate(appointment)

    return once(effect, location=lambda view: f"/scheduling/v1/appointments/{view.id}")


@router.get("/v1/appointments")
def list_appointments(
    principal: PartyDep,
    session: SessionDep,
    since: Annotated[AwareDatetime | None, Query(description="Ending after")] = None,
    status: Annotated[AppointmentStatus | None, Query(description="Only in this state")] = None,
    limit: Limit = 50,
) -> AppointmentList:
    """The caller's own appointments."""
    rows = store.appointments_of(
        session, role=principal.role, subject=principal.subject, since=since, status=status or "", limit=limit
    )
    return AppointmentList(appointments=[AppointmentView.model_validate(row) for row in rows])


@router.get("/v1/appointments/{appointment_id}")
def read_appointment(
    appointment_id: uuid.UUID, principal: PartyOrServiceDep, session: SessionDep
) -> AppointmentView:
    """One appointment, for its two parties and for services."""
    appointment = _of_party(session, appointment_id, principal, "appointment.read")
    record_access(
        session, principal, "appointment.read", f"appointments/{appointment_id}", patient=appointment.patient
    )
    return AppointmentView.model_validate(appointment)


@router.post("/v1/appointments/{appointment_id}/cancellation", responses=problems(409))
def cancel(
    appointment_id: uuid.UUID, principal: PartyDep, context: ContextDep, session: SessionDep
) -> AppointmentView:
    """Cancel an appointment; the slot can be booked again. Cancelling twice changes nothing more."""
    appointment = _of_party(session, appointment_id, principal, "appointment.cancelled", lock=True)
    if appointment.status == AppointmentStatus.CANCELLED:
        return AppointmentView.model_validate(appointment)
    now = context.clock.now()
    try:
        check_cancellation(appointment.interval, now)
    except SchedulingRefused as refusal:
        raise conflict(str(refusal), type="too-late") from refusal
    appointment.status = AppointmentStatus.CANCELLED
    appointment.cancelled_at = now
    appointment.cancelled_by = principal.role
    session.flush()
    record_audit(
        session,
        principal,
        "appointment.cancelled",
        f"appointments/{appointment_id}",
        patient=appointment.patient,
    )
    for person in (appointment.patient, appointment.practitioner):
        _notify(session, person, "appointment-cancelled", appointment)
    return AppointmentView.model_validate(appointment)


def _of_party(
    session: Session, appointment_id: uuid.UUID, principal: Principal, action: str, *, lock: bool = False
) -> Appointment:
    """The appointment, when the caller is a party to it or a service; 404 otherwise, and the attempt is recorded."""
    appointment = session.get(Appointment, appointment_id, with_for_update=lock)
    if appointment is None:
        raise not_found("appointment")
    if principal.role != "service" and principal.subject not in (
        appointment.patient,
        appointment.practitioner,
    ):
        attempt = AuditEntry(
            action, f"appointments/{appointment_id}", principal, appointment.patient, "denied"
        )
        raise not_found("appointment", audit=attempt)
    return appointment


def _notify(
    session: Session,
    person: str,
    template: str,
    appointment: Appointment,
    *,
    not_before: datetime | None = None,
) -> None:
    message: dict[str, object] = {
        "subject": person,
        "template": template,
        "reference": f"appointments/{appointment.id}",
        "parameters": {"starts_at": appointment.starts_at.isoformat()},
    }
    if not_before is not None:
        message["not_before"] = not_before.isoformat()
    enqueue(session, "notification", "/v1/notifications", message)
