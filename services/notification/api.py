"""HTTP interface of notification."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import AwareDatetime, Field, StringConstraints
from sqlalchemy import select

from services.common.audit import record_audit
from services.common.auth import Principal, require
from services.common.context import ServiceContext, service_context, service_state
from services.common.db import SessionDep, when_committed
from services.common.idempotency import OnceDep
from services.common.problems import not_found, unprocessable
from services.common.traffic import is_synthetic
from services.common.types import Body, Line, Slug, View
from services.notification.models import Message
from services.notification.rules import Status
from services.notification.sending import is_superseded, void_superseded
from services.notification.state import NotificationState
from services.notification.templates import Channel, TemplateError, template

router = APIRouter(tags=["notification"])

ContextDep = Annotated[ServiceContext, Depends(service_context)]
ServiceDep = Annotated[Principal, Depends(require(role="service"))]
PersonDep = Annotated[Principal, Depends(require(role={"patient", "practitioner"}))]
Reference = Annotated[str, StringConstraints(max_length=128, pattern=r"^[a-z0-9][a-z0-9/._:-]*$")]


class NotificationRequest(Body):
    """A message to send: a template and what it may show. There is no field for free text."""

    subject: uuid.UUID = Field(description="Whom to tell")
    template: Slug
    channel: Channel = Channel.INBOX
    parameters: dict[Slug, Line] = Field(default_factory=dict, max_length=10)
    reference: Reference | None = Field(
        default=None, description="What it is about, such as appointments/<id>"
    )
    not_before: AwareDatetime | None = Field(
        default=None, description="Earliest time to send it; now by default"
    )
    occurred_at: AwareDatetime | None = Field(
        default=None, description="When what it tells of happened: alerts are to be delivered soon after"
    )


class NotificationView(View):
    """A message and where it stands."""

    id: uuid.UUID
    subject: str
    template: str
    channel: Channel
    reference: str
    text: str
    status: Status
    attempts: int
    created_at: datetime
    due: datetime
    settled_at: datetime | None


class NotificationList(View):
    """Messages, newest first."""

    notifications: list[NotificationView]


@router.post("/v1/notifications", status_code=201, response_model=NotificationView)
def notify(
    body: NotificationRequest,
    principal: ServiceDep,
    context: ContextDep,
    state: Annotated[NotificationState, Depends(service_state)],
    session: SessionDep,
    once: OnceDep,
) -> Response:
    """Queue a message. For services only."""

    def effect() -> NotificationView:
        try:
            chosen = template(body.template)
            chosen.render(body.parameters)
        except TemplateError as error:
            raise unprocessable(str(error), type="template") from error
        now = context.clock.now()
        reference = body.reference or ""
        void_superseded(session, reference, chosen.voids, context)
        superseded = is_superseded(session, reference, body.template)
        message = Message(
            id=uuid.uuid4(),
            subject=str(body.subject),
            channel=body.channel,
            template=body.template,
            parameters=body.parameters,
            reference=reference,
            sender=principal.subject,
            status=Status.VOID if superseded else Status.QUEUED,
            attempts=0,
            due=max(now, body.not_before or now),
            last_error="",
            created_at=now,
            settled_at=now if superseded else None,
            occurred_at=body.occurred_at,
            synthetic=is_synthetic(),
        )
        session.add(message)
        session.flush()
        record_audit(
            session,
            principal,
            "notification.queued",
            f"notifications/{message.id}",
            patient=message.subject,
            detail={"template": message.template},
        )
        when_committed(session, state.sender.wake)
        return _view(message)

    return once(effect, location=lambda view: f"/notification/v1/notifications/{view.id}")


@router.get("/v1/notifications")
def list_notifications(
    principal: PersonDep,
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many")] = 50,
) -> NotificationList:
    """The caller's own messages that were sent."""
    query = (
        select(Message)
        .where(Message.subject == principal.subject, Message.status == Status.SENT)
        .order_by(Message.created_at.desc(), Message.id)
        .limit(limit)
    )
    return NotificationList(notifications=[_view(message) for message in session.scalars(query)])


@router.get("/v1/notifications/{notification_id}")
def read_notification(
    notification_id: uuid.UUID,
    principal: Annotated[Principal, Depends(require(role={"patient", "practitioner", "service"}))],
    session: SessionDep,
) -> NotificationView:
    """One of the caller's own messages; a service reads those it sent."""
    message = session.get(Message, notification_id)
    if message is None or principal.subject != (
        message.sender if principal.role == "service" else message.subject
    ):
        raise not_found("notification")
    return _view(message)


def _view(message: Message) -> NotificationView:
    return NotificationView(
        id=message.id,
        subject=message.subject,
        template=message.template,
        channel=Channel(message.channel),
        reference=message.reference,
        text=template(message.template).render(message.parameters),
        status=Status(message.status),
        attempts=message.attempts,
        created_at=message.created_at,
        due=message.due,
        settled_at=message.settled_at,
    )
