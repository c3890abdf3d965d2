"""Definition of the scheduling service."""

from __future__ import annotations

from pathlib import Path

from services.common.definition import ServiceDefinition
from services.scheduling.api import router
from services.scheduling.models import Base

SERVICE = ServiceDefinition(
    name="scheduling",
    title="Scheduling",
    description="Slots that practitioners publish, and appointments that patients book and either party cancels.",
    routers=(router,),
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
)
