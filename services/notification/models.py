"""Tables of notification."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import Index, String, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.types import PortableJson, UtcDateTime, service_metadata
from services.notification.rules import Delivery, Status


class Base(DeclarativeBase):
    """Base of this service's models."""

    metadata = service_metadata()


class Message(Base):
    """A message to one subject: a template and its parameters, never an address."""

    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_status_due", "status", "due"),
        Index("ix_message_subject_created_at", "subject", "created_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    subject: Mapped[str] = mapped_column(String(128))
    channel: Mapped[str] = mapped_column(String(16))
    template: Mapped[str] = mapped_column(String(64))
    parameters: Mapped[dict[str, str]] = mapped_column(PortableJson)
    reference: Mapped[str] = mapped_column(String(128), index=True)
    sender: Mapped[str] = mapped_column(String(128))
    status: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    due: Mapped[datetime] = mapped_column(UtcDateTime)
    last_error: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When what it tells of happened, where its delivery is promised within a time of that.
    occurred_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    synthetic: Mapped[bool] = mapped_column(default=False)

    @property
    def delivery(self) -> Delivery:
        """Where it stands."""
        return Delivery(Status(self.status), self.attempts, self.due)

    def settle(self, delivery: Delivery, now: datetime, error: str = "") -> None:
        """Record where it stands after an attempt, or after it was made void."""
        self.status, self.attempts, self.due = delivery.status, delivery.attempts, delivery.due
        self.last_error = error
        if delivery.status is not Status.QUEUED:
            self.settled_at = now


class InboxEntry(Base):
    """What the local provider delivered."""

    __tablename__ = "inbox_entry"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    subject: Mapped[str] = mapped_column(String(128), index=True)
    text: Mapped[str] = mapped_column(String(500))
    delivered_at: Mapped[datetime] = mapped_column(UtcDateTime)
