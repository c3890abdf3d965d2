"""Definition of the prescription service."""

from __future__ import annotations

from pathlib import Path

from services.common.context import ServiceContext
from services.common.definition import ServiceDefinition
from services.common.keyring import ring_file
from services.prescription.api import router
from services.prescription.metrics import SignatureMetrics
from services.prescription.models import Base
from services.prescription.state import PrescriptionState

KEYS_SECRET = "prescription-signing-keys.json"


def _build(context: ServiceContext) -> PrescriptionState:
    return PrescriptionState(ring_file(context.settings, KEYS_SECRET), SignatureMetrics(context.telemetry))


SERVICE = ServiceDefinition(
    name="prescription",
    title="Prescription",
    description="Prescriptions signed with ES256 that anybody can verify with the published keys; archived, revocable.",
    routers=(router,),
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    build=_build,
)
