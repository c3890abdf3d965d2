"""HTTP interface of consultation."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.access import record_access
from services.common.audit import record_audit
from services.common.auth import Principal, require
from services.common.consent_check import require_consent
from services.common.context import ServiceContext, service_context, service_state
from services.common.db import SessionDep, when_committed
from services.common.idempotency import OnceDep, Reply
from services.common.openapi import problems
from services.common.outbox import enqueue
from services.common.problems import conflict, unprocessable
from services.consultation.log import (
    append,
    command,
    events_of,
    lock,
    open_consultation,
    queue_position,
    waiting_room,
)
from services.consultation.models import Consultation
from services.consultation.modes import CallMode, present_mode
from services.consultation.party import check_party, denied
from services.consultation.rules import (
    Event,
    IllegalTransition,
    Kind,
    Party,
    State,
    check_end,
    check_open,
    view,
)
from services.consultation.state import ConsultationState
from services.consultation.views import (
    ConsultationList,
    ConsultationSummary,
    ConsultationView,
    JoinView,
    OpenRequest,
    WaitingRoom,
    consultation_view,
)

router = APIRouter(tags=["consultation"])

ContextDep = Annotated[ServiceContext, Depends(service_context)]
StateDep = Annotated[ConsultationState, Depends(service_state)]
PractitionerDep = Annotated[Principal, Depends(require(role="practitioner"))]
PartyDep = Annotated[Principal, Depends(require(role={"patient", "practitioner"}))]
PartyOrServiceDep = Annotated[Principal, Depends(require(role={"patient", "practitioner", "service"}))]
Limit = Annotated[int, Query(ge=1, le=200, description="At most so many")]


@router.post(
    "/v1/consultations",
    status_code=201,
    response_model=ConsultationView,
    responses={
        200: {"model": ConsultationView, "description": "The appointment's consultation was open already"}
    },
)
def open_(
    body: OpenRequest,
    principal: PartyDep,
    context: ContextDep,
    state: StateDep,
    session: SessionDep,
    once: OnceDep,
) -> Response:
    """Open the consultation of an appointment; either party may, and both get the same one."""

    def effect() -> Reply:
        appointment = _appointment(context, body.appointment_id, principal)
        now = context.clock.now()
        consultation, fresh = open_consultation(session, appointment, now)
        if fresh:
            append(session, consultation, [command(Kind.OPENED, now)], principal, state.metrics)
            record_audit(
                session,
                principal,
                "consultation.opened",
                f"consultations/{consultation.id}",
                patient=consultation.patient,
            )
        return Reply(
            consultation_view(consultation, events_of(session, consultation)),
            status=201 if fresh else 200,
            location=f"/consultation/v1/consultations/{consultation.id}",
        )

    return once(effect)


@router.get("/v1/consultations")
def list_consultations(principal: PartyDep, session: SessionDep, limit: Limit = 50) -> ConsultationList:
    """The caller's own consultations."""
    owner = Consultation.patient if principal.role == "patient" else Consultation.practitioner
    query = select(Consultation).where(owner == principal.subject)
    rows = session.scalars(query.order_by(Consultation.starts_at, Consultation.id).limit(limit))
    return ConsultationList(consultations=[ConsultationSummary.model_validate(row) for row in rows])


@router.get("/v1/waiting-room")
def show_waiting_room(principal: PractitionerDep, session: SessionDep, limit: Limit = 50) -> WaitingRoom:
    """The patients who wait for the calling practitioner."""
    rows = waiting_room(session, principal.subject, limit)
    return WaitingRoom(waiting=[ConsultationSummary.model_validate(row) for row in rows])


@router.get("/v1/consultations/{consultation_id}")
def read_consultation(
    consultation_id: uuid.UUID, principal: PartyOrServiceDep, session: SessionDep
) -> ConsultationView:
    """One consultation with its timeline, for its parties and for services."""
    consultation = session.get(Consultation, consultation_id)
    check_party(consultation, principal, "consultation.read")
    assert consultation is not None
    resource = f"consultations/{consultation_id}"
    record_access(session, principal, "consultation.read", resource, patient=consultation.patient)
    return consultation_view(consultation, events_of(session, consultation))


@router.post(
    "/v1/consultations/{consultation_id}/join",
    responses={202: {"model": JoinView, "description": "In the waiting room: ask again"}, **problems(409)},
)
def join(
    consultation_id: uuid.UUID,
    principal: PartyDep,
    context: ContextDep,
    state: StateDep,
    session: SessionDep,
    response: Response,
) -> JoinView:
    """Ask to come in. A practitioner gets a join token; a patient does once admitted, and waits until then (202).

    While calls are by telephone nobody gets one, and the patient is told to wait for the practitioner's call.

    403 without the patient's consent to teleconsultation with this practitioner.
    """
    party = check_party(session.get(Consultation, consultation_id), principal, "consultation.joined")
    consultation = session.get_one(Consultation, consultation_id)
    require_consent(
        context,
        patient=consultation.patient,
        practitioner=consultation.practitioner,
        purpose="teleconsultation",
        attempt=denied(consultation, principal, "consultation.joined"),
    )
    consultation = lock(session, consultation_id)
    assert consultation is not None, "consultations are never deleted"
    assert party is not None, "services do not join"
    now = context.clock.now()
    current = view(events_of(session, consultation))
    _allow(lambda: check_open(current))
    mode = present_mode(session)
    if mode is CallMode.CALLBACK:
        if party is Party.PATIENT and not current.by_phone:
            append(session, consultation, [command(Kind.CALLBACK, now, party)], principal, state.metrics)
            enqueue(session, "notification", "/v1/notifications", _by_phone(consultation))
        return _without_room("callback", mode)
    if party is Party.PATIENT and current.admitted_at is None:
        if current.waiting_since is None:
            append(session, consultation, [command(Kind.REQUESTED, now, party)], principal, state.metrics)
        response.status_code = 202
        position = queue_position(session, consultation)
        return _without_room("waiting", mode, position)
    append(session, consultation, [command(Kind.TOKEN, now, party)], principal, state.metrics)
    record_audit(
        session,
        principal,
        "consultation.token",
        f"consultations/{consultation_id}",
        patient=consultation.patient,
        detail={"party": party},
    )
    granted = state.media.join_token(
        consultation.room, party, principal.subject, now, voice_only=mode is CallMode.AUDIO
    )
    return JoinView(
        status="admitted",
        mode=mode,
        position=None,
        url=state.media.public_url,
        token=granted.token,
        room=consultation.room,
        identity=granted.identity,
        expires_at=granted.expires_at,
    )


def _without_room(
    status: Literal["waiting", "callback"], mode: CallMode, position: int | None = None
) -> JoinView:
    return JoinView(
        status=status,
        mode=mode,
        position=position,
        url=None,
        token=None,
        room=None,
        identity=None,
        expires_at=None,
    )


def _by_phone(consultation: Consultation) -> dict[str, object]:
    return {
        "subject": consultation.patient,
        "template": "consultation-by-phone",
        "reference": f"consultations/{consultation.id}",
        "parameters": {},
    }


@router.post("/v1/consultations/{consultation_id}/admit", responses=problems(409))
def admit(
    consultation_id: uuid.UUID,
    principal: PractitionerDep,
    context: ContextDep,
    state: StateDep,
    session: SessionDep,
) -> ConsultationView:
    """Let the patient in. Doing so again changes nothing more."""

    def step(consultation: Consultation) -> list[Event]:
        check_open(view(events_of(session, consultation)))
        return [command(Kind.ADMITTED, context.clock.now())] if consultation.admitted_at is None else []

    return _advance(session, consultation_id, principal, state, "consultation.admitted", step)


@router.post("/v1/consultations/{consultation_id}/complete", responses=problems(409))
def complete(
    consultation_id: uuid.UUID,
    principal: PractitionerDep,
    context: ContextDep,
    state: StateDep,
    session: SessionDep,
) -> ConsultationView:
    """Complete a consultation in which both parties were in the room; the room closes."""
    return _end(session, consultation_id, principal, context, state, State.COMPLETED)


@router.post("/v1/consultations/{consultation_id}/cancellation", responses=problems(409))
def cancel(
    consultation_id: uuid.UUID, principal: PartyDep, context: ContextDep, state: StateDep, session: SessionDep
) -> ConsultationView:
    """Cancel a consultation in which no call has taken place."""
    return _end(session, consultation_id, principal, context, state, State.CANCELLED)


def _end(
    session: Session,
    consultation_id: uuid.UUID,
    principal: Principal,
    context: ServiceContext,
    state: ConsultationState,
    outcome: State,
) -> ConsultationView:
    def step(consultation: Consultation) -> list[Event]:
        current = view(events_of(session, consultation))
        if current.ended and current.state is outcome:
            return []
        check_end(current, outcome)
        room = consultation.room
        when_committed(session, lambda: state.media.close_room(room))
        return [command(Kind.ENDED, context.clock.now(), outcome=outcome)]

    return _advance(session, consultation_id, principal, state, f"consultation.{outcome}", step)


def _advance(
    session: Session,
    consultation_id: uuid.UUID,
    principal: Principal,
    state: ConsultationState,
    action: str,
    step: Any,
) -> ConsultationView:
    """Lock one's own consultation, and add the events that `step` decides on; 409 when it may not."""
    consultation = lock(session, consultation_id)
    check_party(consultation, principal, action)
    assert consultation is not None
    added: list[Event] = _allow(lambda: step(consultation))
    append(session, consultation, added, principal, state.metrics)
    if added and added[0].kind is Kind.ADMITTED:
        record_audit(
            session, principal, action, f"consultations/{consultation_id}", patient=consultation.patient
        )
    return consultation_view(consultation, events_of(session, consultation))


def _allow(step: Any) -> Any:
    try:
        return step()
    except IllegalTransition as refusal:
        raise conflict(f"{str(refusal).capitalize()}.", type="consultation-state") from refusal


def _appointment(context: ServiceContext, appointment_id: uuid.UUID, principal: Principal) -> dict[str, str]:
    """The caller's own appointment; somebody else's is as unknown as none."""
    response = context.client.get("scheduling", f"/v1/appointments/{appointment_id}")
    appointment: dict[str, str] = response.json() if response.status_code == 200 else {}
    if principal.subject not in (appointment.get("patient"), appointment.get("practitioner")):
        raise unprocessable("There is no such appointment of yours.", type="unknown-appointment")
    if appointment["status"] != "booked":
        raise conflict("The appointment is cancelled.", type="appointment-cancelled")
    return appointment
