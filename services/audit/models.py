"""The one table of audit: append-only, also against this service itself."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String, Text, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.types import UtcDateTime, service_metadata


class Base(DeclarativeBase):
    """Base of this service's models."""

    metadata = service_metadata()


class Record(Base):
    """A link of the chain. `document` is the event's canonical text: what was hashed is what is kept."""

    __tablename__ = "audit_record"

    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    document: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))
    # Copies of the document's fields, to search by; the document is what counts.
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(128), index=True)
    resource: Mapped[str] = mapped_column(String(200), index=True)
    patient: Mapped[str] = mapped_column(String(128), index=True)
    action: Mapped[str] = mapped_column(String(64))


Document = dict[str, Any]
