"""Tables of records: the present version of each resource, every version, and what is searched by code."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, String, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.types import PortableJson, UtcDateTime, service_metadata


class Base(DeclarativeBase):
    """Base of this service's models."""

    metadata = service_metadata()


class ResourceRow(Base):
    """The present version of a resource."""

    __tablename__ = "resource"
    __table_args__ = (
        Index("ix_resource_patient_type_updated_at", "patient", "type", "updated_at"),
        Index("ix_resource_encounter", "encounter"),
    )

    type: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    patient: Mapped[str] = mapped_column(String(128))
    encounter: Mapped[str] = mapped_column(String(64))
    author: Mapped[str] = mapped_column(String(128))
    version: Mapped[int]
    document: Mapped[dict[str, Any]] = mapped_column(PortableJson)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class VersionRow(Base):
    """One version of a resource. Never changed, never deleted."""

    __tablename__ = "resource_version"
    __table_args__ = (ForeignKeyConstraint(["type", "id"], ["resource.type", "resource.id"]),)

    type: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    author: Mapped[str] = mapped_column(String(128))
    document: Mapped[dict[str, Any]] = mapped_column(PortableJson)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CodeRow(Base):
    """A coding of the present version of a resource."""

    __tablename__ = "resource_code"
    __table_args__ = (
        ForeignKeyConstraint(["type", "id"], ["resource.type", "resource.id"]),
        Index("ix_resource_code_code_system", "code", "system"),
    )

    type: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    system: Mapped[str] = mapped_column(String(200), primary_key=True)
    code: Mapped[str] = mapped_column(String(100), primary_key=True)


class MonitorAlert(Base):
    """An alert that a remote monitor's measurement raised, and who was told; nobody where `practitioner` is empty."""

    __tablename__ = "monitor_alert"
    __table_args__ = (Index("ix_monitor_alert_patient_raised_at", "patient", "raised_at"),)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    patient: Mapped[str] = mapped_column(String(128))
    observation: Mapped[str] = mapped_column(String(64))
    finding: Mapped[str] = mapped_column(String(32))
    practitioner: Mapped[str] = mapped_column(String(128))
    raised_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MonitorLimit(Base):
    """A patient's own limits for one kind of measurement, in its first unit."""

    __tablename__ = "monitor_limit"

    patient: Mapped[str] = mapped_column(String(128), primary_key=True)
    code: Mapped[str] = mapped_column(String(16), primary_key=True)
    low: Mapped[float | None]
    high: Mapped[float | None]
    author: Mapped[str] = mapped_column(String(128))
    set_at: Mapped[datetime] = mapped_column(UtcDateTime)
