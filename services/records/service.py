"""Definition of the records service."""

from __future__ import annotations

from pathlib import Path

from services.common.context import ServiceContext
from services.common.definition import ServiceDefinition
from services.records.alerts import MonitorMetrics, RecordsState
from services.records.api import router
from services.records.limits import router as limits_router
from services.records.models import Base


def _build(context: ServiceContext) -> RecordsState:
    return RecordsState(MonitorMetrics(context.telemetry))


SERVICE = ServiceDefinition(
    name="records",
    title="Records",
    description="Health records as FHIR R4: Patient, Encounter and Observation, versioned; every access is recorded.",
    routers=(router, limits_router),
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    build=_build,
)
