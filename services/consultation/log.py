"""The log of a consultation's events in the database, and what follows from adding to it.

Whoever adds has locked the consultation's row: the fold, the check and the new event are one step.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.common.audit import record_audit
from services.common.auth import Principal
from services.common.db import when_committed
from services.common.traffic import is_synthetic
from services.consultation.metrics import ConsultationMetrics
from services.consultation.models import Consultation, EventRow
from services.consultation.rules import Event, Kind, Party, State, View, join_seconds, media_seconds, view

MEDIA_SERVER = Principal("media-server", "service")
"""Who the audit trail names for what LiveKit reported."""


def open_consultation(
    session: Session, appointment: dict[str, str], now: datetime
) -> tuple[Consultation, bool]:
    """The appointment's consultation, and whether it was made now. Two who open it at once get the same one."""
    identifier = uuid.uuid4()
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(Consultation)
        .values(
            id=identifier,
            appointment_id=uuid.UUID(appointment["id"]),
            patient=appointment["patient"],
            practitioner=appointment["practitioner"],
            starts_at=datetime.fromisoformat(appointment["starts_at"]),
            ends_at=datetime.fromisoformat(appointment["ends_at"]),
            room=f"consultation-{identifier}",
            opened_at=now,
            state=State.BOOKED,
            ended=False,
            synthetic=is_synthetic(),
        )
        .on_conflict_do_nothing(index_elements=["appointment_id"])
    )
    query = select(Consultation).where(Consultation.appointment_id == uuid.UUID(appointment["id"]))
    consultation = session.scalars(query).one()
    return consultation, consultation.id == identifier


def lock(session: Session, consultation_id: uuid.UUID) -> Consultation | None:
    """The consultation, to oneself until the transaction ends."""
    return session.get(Consultation, consultation_id, with_for_update=True, populate_existing=True)


def lock_by_room(session: Session, room: str) -> Consultation | None:
    """The consultation that a LiveKit room is for, to oneself until the transaction ends."""
    return session.scalar(select(Consultation).where(Consultation.room == room).with_for_update())


def events_of(session: Session, consultation: Consultation) -> list[Event]:
    """Everything known to have happened to it, by time."""
    query = (
        select(EventRow).where(EventRow.consultation_id == consultation.id).order_by(EventRow.at, EventRow.id)
    )
    return [_event(row) for row in session.scalars(query)]


def command(kind: Kind, now: datetime, party: Party | None = None, outcome: State | None = None) -> Event:
    """An event that this service itself decided on."""
    return Event(id=str(uuid.uuid4()), kind=kind, at=now, party=party, outcome=outcome)


def append(
    session: Session,
    consultation: Consultation,
    added: Sequence[Event],
    principal: Principal,
    metrics: ConsultationMetrics,
) -> View:
    """Add events to a locked consultation, derive its columns anew, and tell audit of a change of state."""
    earlier = events_of(session, consultation)
    known = {event.id for event in earlier}
    fresh = [event for event in added if event.id not in known]
    before = view(earlier)
    if not fresh:
        return before
    session.add_all([_row(consultation, event) for event in fresh])
    events = [*earlier, *fresh]
    after = view(events)
    consultation.state, consultation.ended = after.state, after.ended
    consultation.waiting_since, consultation.admitted_at = after.waiting_since, after.admitted_at
    consultation.media_at, consultation.ended_at = after.media_at, after.ended_at
    session.flush()
    if (after.state, after.ended) != (before.state, before.ended):
        record_audit(
            session,
            principal,
            f"consultation.{after.state}",
            f"consultations/{consultation.id}",
            patient=consultation.patient,
            detail={"from": before.state},
        )
    # Whoever caused this event, be it the media server or the sweeper: the consultation is what is counted.
    synthetic = consultation.synthetic
    when_committed(session, lambda: _measure(metrics, events, before, after, synthetic=synthetic))
    return after


def queue_position(session: Session, consultation: Consultation) -> int:
    """Place of a waiting patient in the practitioner's waiting room; 1 is next."""
    earlier = (
        select(func.count())
        .select_from(Consultation)
        .where(
            Consultation.practitioner == consultation.practitioner,
            Consultation.ended.is_(False),
            Consultation.admitted_at.is_(None),
            Consultation.waiting_since < consultation.waiting_since,
        )
    )
    return 1 + (session.scalar(earlier) or 0)


def waiting_room(session: Session, practitioner: str, limit: int) -> Sequence[Consultation]:
    """Consultations whose patients wait to be let in by the practitioner, longest wait first."""
    query = select(Consultation).where(
        Consultation.practitioner == practitioner,
        Consultation.ended.is_(False),
        Consultation.admitted_at.is_(None),
        Consultation.waiting_since.is_not(None),
    )
    return session.scalars(query.order_by(Consultation.waiting_since, Consultation.id).limit(limit)).all()


def _measure(
    metrics: ConsultationMetrics, events: list[Event], before: View, after: View, *, synthetic: bool
) -> None:
    for party in after.entered_at.keys() - before.entered_at.keys():
        seconds = join_seconds(events, party)
        if seconds is not None:
            metrics.joined(party, seconds, synthetic=synthetic)
    if before.media_at is None and after.media_at is not None:
        metrics.media(media_seconds(after) or 0.0, synthetic=synthetic)
    if after.ended and not before.ended:
        metrics.ended(after.state, synthetic=synthetic)


def _event(row: EventRow) -> Event:
    return Event(
        id=row.id,
        kind=Kind(row.kind),
        at=row.at,
        party=Party(row.party) if row.party else None,
        session=row.session,
        track=row.track,
        room=row.room,
        voluntary=row.voluntary,
        outcome=State(row.outcome) if row.outcome else None,
    )


def _row(consultation: Consultation, event: Event) -> EventRow:
    return EventRow(
        id=event.id,
        consultation_id=consultation.id,
        kind=event.kind,
        at=event.at,
        party=event.party or "",
        session=event.session,
        track=event.track,
        room=event.room,
        voluntary=event.voluntary,
        outcome=event.outcome or "",
    )
