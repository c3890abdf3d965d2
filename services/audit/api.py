"""HTTP interface of audit."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query
from pydantic import AwareDatetime, Field, StringConstraints, field_serializer
from sqlalchemy import select

from services.audit import chain, store
from services.audit.models import Record
from services.common.audit import (
    DETAIL_PATTERN,
    NAME_PATTERN,
    RESOURCE_PATTERN,
    AuditEntry,
    event_document,
)
from services.common.auth import Principal, require
from services.common.db import SessionDep, is_standby
from services.common.openapi import problems
from services.common.problems import forbidden, unprocessable
from services.common.types import Body, Slug, View

router = APIRouter(tags=["audit"])

Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=NAME_PATTERN)]
Resource = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=RESOURCE_PATTERN)]
Detail = Annotated[str, StringConstraints(max_length=128, pattern=DETAIL_PATTERN)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ReaderDep = Annotated[Principal, Depends(require(scope="audit:read"))]
_LARGEST_SEQUENCE = 2**63 - 1


class Event(Body):
    """One thing that happened, told by the service that did it."""

    id: uuid.UUID
    occurred_at: AwareDatetime
    service: Slug
    region: Slug
    actor: Name = Field(description="Subject of the token, or `anonymous`")
    actor_role: Slug
    action: Slug = Field(examples=["consent.granted"])
    resource: Resource = Field(examples=["grants/3f0c"])
    patient: Annotated[str, StringConstraints(max_length=128, pattern=r"^[A-Za-z0-9._:@-]*$")] = Field(
        default="", description="Subject of the patient whose data it touches"
    )
    outcome: Literal["success", "denied", "failure"]
    trace_id: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{32})?$")] = ""
    detail: dict[Slug, Detail] = Field(
        default_factory=dict, max_length=16, json_schema_extra={"additionalProperties": False}
    )

    @field_serializer("occurred_at")
    def _in_utc(self, moment: datetime) -> str:
        return moment.astimezone(UTC).isoformat()


class EventBatch(Body):
    """Events of the calling service."""

    events: Annotated[list[Event], Field(min_length=1, max_length=100)]


class HeadView(View):
    """The end of the chain. Note it elsewhere: it vouches for everything before it."""

    sequence: int = Field(ge=0)
    digest: Digest


class AppendView(View):
    """What became of a batch."""

    appended: int
    known: int
    head: HeadView


class RecordView(View):
    """A record with its place in the chain."""

    sequence: int
    event: dict[str, Any]
    previous: Digest
    digest: Digest


class RecordPage(View):
    """Records in the order of the chain; `next_after` continues, and is null at the end."""

    records: list[RecordView]
    next_after: int | None


class VerificationView(View):
    """Outcome of recomputing the chain."""

    intact: bool
    checked: int
    head: HeadView
    broken_at: int | None
    problem: str


@router.post("/v1/events", status_code=201)
def append_events(
    body: EventBatch,
    principal: Annotated[Principal, Depends(require(role="service"))],
    session: SessionDep,
    idempotency_key: Annotated[
        str | None,
        Header(alias="Idempotency-Key", max_length=255, description="Not needed: see the event's id"),
    ] = None,
) -> AppendView:
    """Append events. Known by their ids: sending one again changes nothing. A service speaks for itself only."""
    if any(event.service != principal.subject for event in body.events):
        raise forbidden("A service records its own events only.")
    outcome = store.append(session, [event.model_dump(mode="json") for event in body.events])
    return AppendView(
        appended=outcome.appended, known=outcome.known, head=HeadView.model_validate(outcome.head)
    )


@router.get("/v1/events")
def search_events(
    principal: ReaderDep,
    session: SessionDep,
    actor: Annotated[Name | None, Query()] = None,
    resource: Annotated[Resource | None, Query()] = None,
    patient: Annotated[Name | None, Query()] = None,
    action: Annotated[Slug | None, Query()] = None,
    after: Annotated[
        int, Query(ge=0, le=_LARGEST_SEQUENCE, description="Only records after this number")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> RecordPage:
    """Search the trail. Reading it is itself recorded, where the region takes writes."""
    query = select(Record).where(Record.sequence > after).order_by(Record.sequence).limit(limit + 1)
    for column, value in (
        (Record.actor, actor),
        (Record.resource, resource),
        (Record.patient, patient),
        (Record.action, action),
    ):
        if value is not None:
            query = query.where(column == value)
    rows = session.scalars(query).all()
    records = [
        RecordView(
            sequence=row.sequence, event=json.loads(row.document), previous=row.previous, digest=row.digest
        )
        for row in rows[:limit]
    ]
    if not is_standby(session):
        entry = AuditEntry("audit.read", "events", principal, patient=patient or "")
        _, event = event_document(session, entry)
        store.append(session, [Event.model_validate(event).model_dump(mode="json")])
    return RecordPage(records=records, next_after=records[-1].sequence if len(rows) > limit else None)


@router.get("/v1/chain/head")
def read_head(_: ReaderDep, session: SessionDep) -> HeadView:
    """The end of the chain."""
    return HeadView.model_validate(store.read_head(session))


@router.get("/v1/chain/verify", responses=problems(422))
def verify_chain(
    _: ReaderDep,
    session: SessionDep,
    checkpoint_sequence: Annotated[int, Query(ge=0, le=_LARGEST_SEQUENCE)] = 0,
    checkpoint_digest: Annotated[Digest | None, Query(description="Digest noted at that number")] = None,
) -> VerificationView:
    """Recompute the chain from its start, or from a checkpoint noted earlier; says where it breaks."""
    if checkpoint_sequence and checkpoint_digest is None:
        raise unprocessable("A checkpoint is a number and a digest.", type="validation")
    start = chain.Head(checkpoint_sequence, checkpoint_digest or chain.GENESIS)
    if checkpoint_sequence and store.digest_at(session, checkpoint_sequence) != start.digest:
        found = chain.Verification(
            False, 0, start, broken_at=checkpoint_sequence, problem="the record differs from the checkpoint"
        )
    else:
        # One snapshot of the end, so that appends meanwhile do not matter.
        end = store.read_head(session)
        found = chain.verify(store.read_links(session, after=start.sequence, until=end.sequence), start)
        if found.intact and (wrong := store.misfiled(session, after=start.sequence)) is not None:
            found = chain.Verification(
                False, found.checked, found.head, broken_at=wrong, problem="its search fields differ from it"
            )
    return VerificationView.model_validate(found)
