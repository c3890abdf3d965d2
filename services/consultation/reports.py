"""Parties tell how their call arrived: their WebRTC statistics, judged here and counted, and then forgotten.

A report is bounded and covers the time since the party's last one. A client sends one when it hangs up, and in long
calls every few minutes.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Annotated, Final, Self

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import Field, model_validator
from sqlalchemy.orm import Session

from services.common.auth import Principal, require
from services.common.context import ServiceContext, service_context, service_state
from services.common.db import SessionDep, when_committed
from services.common.idempotency import OnceDep
from services.common.openapi import problems
from services.common.problems import ProblemError, conflict, unprocessable
from services.common.types import Body, View
from services.consultation.log import events_of, lock
from services.consultation.models import Consultation, QualityReport
from services.consultation.party import check_party
from services.consultation.quality import Judged, Media, Stream, StreamState, judge
from services.consultation.rules import Party, view
from services.consultation.state import ConsultationState

router = APIRouter(tags=["consultation"])

PAUSE: Final = timedelta(seconds=10)
"""Least time between two reports of one party."""
MOST: Final = 120
"""Reports of one party on one consultation."""
LATE: Final = timedelta(hours=1)
"""How long after its end a consultation is still reported on."""
SLACK_SECONDS: Final = 15.0
"""By how much a client may claim to have received for longer than it has been in the room: clocks and webhooks."""


class StreamReport(Body):
    """What one incoming stream's receiver counted, as in WebRTC's `inbound-rtp` statistics."""

    media: Media
    seconds: float = Field(gt=0, le=86_400, description="Time it was counted over")
    packets: int = Field(ge=0, le=100_000_000, description="Packets received")
    lost: int = Field(ge=-1_000_000, le=100_000_000, description="packetsLost; negative after duplicates")
    jitter_ms: float = Field(ge=0, le=10_000)
    rtt_ms: float = Field(ge=0, le=60_000, description="Round trip to the media server")
    frames: int | None = Field(default=None, ge=0, le=100_000_000, description="Video: frames decoded")
    freezes: int | None = Field(default=None, ge=0, le=1_000_000, description="Video: freezeCount")
    frozen_seconds: float | None = Field(default=None, ge=0, le=86_400, description="Video: time stood still")
    concealed_percent: float | None = Field(
        default=None, ge=0, le=100, description="Audio: share of the samples played that were concealed"
    )

    @model_validator(mode="after")
    def fits_its_media(self) -> Self:
        """What only one kind of media has is not claimed of the other, and nothing lasts longer than it was counted."""
        of_video = (self.frames, self.freezes, self.frozen_seconds)
        foreign = (self.concealed_percent,) if self.media is Media.VIDEO else of_video
        if any(value is not None for value in foreign):
            raise ValueError("not a figure of this media")
        if (self.frozen_seconds or 0.0) > self.seconds:
            raise ValueError("frozen for longer than it was counted")
        return self

    def stream(self) -> Stream:
        """As the rules see it."""
        return Stream(
            media=self.media,
            seconds=self.seconds,
            packets=self.packets,
            lost=self.lost,
            jitter_ms=self.jitter_ms,
            rtt_ms=self.rtt_ms,
            frames=self.frames,
            frozen_seconds=self.frozen_seconds,
            concealed_percent=self.concealed_percent,
        )


class QualityRequest(Body):
    """What a party received of a call since its last report."""

    streams: tuple[StreamReport, ...] = Field(min_length=1, max_length=8)


class StreamVerdict(View):
    """What a stream's figures amount to."""

    media: Media
    state: StreamState
    mos: float | None = Field(description="Audio: mean opinion score, 1 to 5")


class QualityView(View):
    """Verdicts, in the order of the streams reported."""

    streams: list[StreamVerdict]


@router.post(
    "/v1/consultations/{consultation_id}/quality",
    status_code=201,
    response_model=QualityView,
    responses=problems(409, 429),
)
def report_quality(
    consultation_id: uuid.UUID,
    body: QualityRequest,
    principal: Annotated[Principal, Depends(require(role={"patient", "practitioner"}))],
    context: Annotated[ServiceContext, Depends(service_context)],
    state: Annotated[ConsultationState, Depends(service_state)],
    session: SessionDep,
    once: OnceDep,
) -> Response:
    """Tell how the call's streams arrived here. For the consultation's parties, once they have been in the room."""

    def effect() -> QualityView:
        consultation = lock(session, consultation_id)
        party = check_party(consultation, principal, "consultation.quality")
        assert consultation is not None
        assert party is not None, "services receive no streams"
        now = context.clock.now()
        _check_plausible(session, consultation, party, body, now)
        _count(session, consultation, party, now)
        judged = [judge(report.stream()) for report in body.streams]
        synthetic = consultation.synthetic

        def measure() -> None:
            for stream in judged:
                state.metrics.received(stream, synthetic=synthetic)

        when_committed(session, measure)
        return QualityView(streams=[_verdict(stream) for stream in judged])

    return once(effect)


def _check_plausible(
    session: Session, consultation: Consultation, party: Party, body: QualityRequest, now: datetime
) -> None:
    current = view(events_of(session, consultation))
    entered = current.entered_at.get(party)
    if entered is None:
        raise conflict("You have not been in the room.", type="consultation-state")
    until = current.ended_at or now
    if now > until + LATE:
        raise conflict("The consultation ended too long ago.", type="consultation-state")
    longest = (until - entered).total_seconds() + SLACK_SECONDS
    if any(report.seconds > longest for report in body.streams):
        raise unprocessable("You have not been in the room for so long.", type="implausible")


def _count(session: Session, consultation: Consultation, party: Party, now: datetime) -> None:
    row = session.get(QualityReport, (consultation.id, party))
    if row is None:
        session.add(QualityReport(consultation_id=consultation.id, party=party, reports=1, last_at=now))
        return
    if row.reports >= MOST:
        raise _too_many("There are enough reports on this consultation.", LATE)
    if now < row.last_at + PAUSE:
        raise _too_many("The last report was a moment ago.", row.last_at + PAUSE - now)
    row.reports += 1
    row.last_at = now


def _too_many(detail: str, wait: timedelta) -> ProblemError:
    headers = {"Retry-After": str(max(1, round(wait.total_seconds())))}
    return ProblemError(429, "too-many-reports", "Too many requests", detail, headers=headers)


def _verdict(stream: Judged) -> StreamVerdict:
    mos = round(stream.mos, 2) if stream.mos is not None else None
    return StreamVerdict(media=stream.media, state=stream.state, mos=mos)
