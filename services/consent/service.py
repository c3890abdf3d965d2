"""Definition of the consent service."""

from __future__ import annotations

from pathlib import Path

from services.common.definition import ServiceDefinition
from services.consent.api import router
from services.consent.models import Base

SERVICE = ServiceDefinition(
    name="consent",
    title="Consent",
    description="Consent of patients to practitioners, bound to a purpose and to the words that were shown.",
    routers=(router,),
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
)
