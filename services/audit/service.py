"""Definition of the audit service."""

from __future__ import annotations

from pathlib import Path

from services.audit.api import router
from services.audit.models import Base
from services.common.definition import ServiceDefinition

SERVICE = ServiceDefinition(
    name="audit",
    title="Audit",
    description="Append-only, hash-chained trail of what was done to whose data, by whom.",
    routers=(router,),
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
)
