"""Bodies and responses of consultation."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import Field

from services.common.types import Body, View
from services.consultation.models import Consultation
from services.consultation.modes import CallMode
from services.consultation.rules import Event, Kind, Party, State


class OpenRequest(Body):
    """The appointment whose consultation is opened."""

    appointment_id: uuid.UUID


class Moment(View):
    """One thing that happened."""

    at: datetime
    kind: Kind
    party: Party | None


class ConsultationSummary(View):
    """A consultation and where it stands."""

    id: uuid.UUID
    appointment_id: uuid.UUID
    patient: str
    practitioner: str
    starts_at: datetime
    ends_at: datetime
    state: State
    ended: bool
    opened_at: datetime
    waiting_since: datetime | None
    admitted_at: datetime | None
    media_at: datetime | None = Field(description="First moment at which both parties published media")
    ended_at: datetime | None


class ConsultationView(ConsultationSummary):
    """A consultation with its timeline."""

    timeline: list[Moment]


class ConsultationList(View):
    """Consultations, soonest first."""

    consultations: list[ConsultationSummary]


class WaitingRoom(View):
    """Consultations whose patients wait, longest wait first."""

    waiting: list[ConsultationSummary]


class JoinView(View):
    """Either a place in the waiting room, or what is needed to enter, or that the practitioner will telephone."""

    status: Literal["waiting", "admitted", "callback"]
    mode: CallMode = Field(
        description="What the call may be: `low` asks clients for small pictures, few a second; in `audio` the token"
        " allows the microphone alone; in `callback` there is no call"
    )
    position: int | None = Field(description="Place in the waiting room; 1 is next")
    url: str | None = Field(description="LiveKit's address, for its client SDKs")
    token: str | None = Field(description="Join token: one person, one room, ten minutes")
    room: str | None
    identity: str | None = Field(description="Pseudonym in the room")
    expires_at: datetime | None


def consultation_view(consultation: Consultation, events: list[Event]) -> ConsultationView:
    """A consultation with its timeline, by time."""
    summary = ConsultationSummary.model_validate(consultation)
    timeline = [Moment(at=event.at, kind=event.kind, party=event.party) for event in events]
    return ConsultationView(**summary.model_dump(), timeline=timeline)
