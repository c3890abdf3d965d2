"""Definition of the prescription service."""

from __future__ import annotations

from pathlib import Path

from services.common.context import ServiceContext
from services.common.definition import ServiceDefinition
from services.common.keyring import KeyRing
from services.prescription.api import router
from services.prescription.models import Base

KEYS_SECRET = "prescription-signing-keys.json"


def _build(context: ServiceContext) -> KeyRing:
    return KeyRing.parse(context.settings.secret(KEYS_SECRET), what=f"secret {KEYS_SECRET}")


SERVICE = ServiceDefinition(
    name="prescription",
    title="Prescription",
    description="Prescriptions signed with ES256 that anybody can verify with the published keys; archived, revocable.",
    routers=(router,),
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    build=_build,
)
