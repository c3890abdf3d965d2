"""Sending what is due. Several processes may do so at once: each takes messages that no other has locked."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.context import ServiceContext
from services.common.db import when_committed
from services.common.logs import get_logger
from services.notification.metrics import AlertMetrics
from services.notification.models import Message
from services.notification.providers import Outgoing, Provider, ProviderRefused
from services.notification.rules import Status
from services.notification.templates import MONITOR_ALERT, Channel, TemplateError, template

log = get_logger("services.notification")

BATCH = 20


class Sender:
    """Takes due messages to the provider."""

    def __init__(self, context: ServiceContext, provider: Provider, metrics: AlertMetrics) -> None:
        self._context = context
        self._provider = provider
        self._metrics = metrics

    def step(self) -> bool:
        """Send one batch; True when there may be more. Does nothing where the database is a standby."""
        if self._context.database.role() == "standby":
            return False
        sent = 0
        while sent < BATCH and self._send_one():
            sent += 1
        return sent == BATCH

    def _send_one(self) -> bool:
        # One message a transaction: a crash repeats at most one attempt, and the provider knows it by its id.
        with self._context.database.transaction() as session:
            now = self._context.clock.now()
            message = session.scalar(
                select(Message)
                .where(Message.status == Status.QUEUED, Message.due <= now)
                .order_by(Message.due)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if message is None:
                return False
            self._attempt(session, message)
            return True

    def _attempt(self, session: Session, message: Message) -> None:
        now = self._context.clock.now()
        error = ""
        try:
            text = template(message.template).render(message.parameters)
            outgoing = Outgoing(message.id, message.subject, Channel(message.channel), text)
            self._provider.send(session, outgoing, now)
            delivery = message.delivery.sent()
        except TemplateError:
            # Queued by a release whose template this one no longer has: no attempt can help.
            delivery, error = message.delivery.given_up(), "no such template"
        except ProviderRefused as refusal:
            delivery, error = message.delivery.refused(now), str(refusal)[:64]
        message.settle(delivery, now, error)
        if delivery.status is Status.FAILED:
            log.error("message given up", message=str(message.id), attempts=delivery.attempts)
        if message.template == MONITOR_ALERT and delivery.status is not Status.QUEUED:
            seconds = (now - (message.occurred_at or message.created_at)).total_seconds()
            sent, synthetic = delivery.status is Status.SENT, message.synthetic
            when_committed(session, lambda: self._metrics.settled(sent, seconds, synthetic=synthetic))


def void_superseded(
    session: Session, reference: str, templates: frozenset[str], context: ServiceContext
) -> None:
    """Make queued messages of these templates about `reference` void."""
    if not reference or not templates:
        return
    now = context.clock.now()
    superseded = select(Message).where(
        Message.reference == reference, Message.template.in_(templates), Message.status == Status.QUEUED
    )
    for message in session.scalars(superseded.with_for_update()):
        message.settle(message.delivery.void(), now)


def is_superseded(session: Session, reference: str, name: str) -> bool:
    """Whether a message that voids `name` about `reference` is already here (the outbox may swap two messages)."""
    if not reference:
        return False
    earlier = session.scalars(select(Message.template).where(Message.reference == reference))
    return any(name in template(each).voids for each in earlier)
