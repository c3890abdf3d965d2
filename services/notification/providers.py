"""The port to whatever carries messages to people, and the local provider: the inbox inside the platform."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from services.notification.models import InboxEntry
from services.notification.templates import Channel


class ProviderRefused(Exception):
    """The provider did not take the message; it may next time. The message is a short code, without any address."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way. The address is the provider's to look up: this service keeps none."""

    id: uuid.UUID
    """Also the provider's idempotency key: an attempt repeated after a crash is not a second message."""
    subject: str
    channel: Channel
    text: str


class Provider(Protocol):
    """Hands a message over. `session` is the transaction in which the attempt is recorded."""

    name: str

    def send(self, session: Session, message: Outgoing, now: datetime) -> None:
        """Raise ProviderRefused when the message was not taken."""
        ...


class LocalProvider:
    """Delivers every channel to the subject's inbox, which the subject reads through this service."""

    name = "local"

    def send(self, session: Session, message: Outgoing, now: datetime) -> None:
        """Put the message into the inbox, once."""
        if session.get(InboxEntry, message.id) is None:
            session.add(
                InboxEntry(id=message.id, subject=message.subject, text=message.text, delivered_at=now)
            )
