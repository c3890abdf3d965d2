"""Definition of the consultation service."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from services.common.background import Worker
from services.common.context import ServiceContext
from services.common.definition import ServiceDefinition
from services.common.settings import SettingsError
from services.consultation.api import router
from services.consultation.media import MediaServer
from services.consultation.metrics import ConsultationMetrics
from services.consultation.models import Base
from services.consultation.modes import router as modes_router
from services.consultation.reports import router as reports_router
from services.consultation.state import ConsultationState
from services.consultation.sweep import Sweeper
from services.consultation.webhook import router as webhook_router

URL = "VITALOPS_LIVEKIT_URL"
PUBLIC_URL = "VITALOPS_LIVEKIT_PUBLIC_URL"
PEER_URL = "VITALOPS_PEER_URL"
AUTHORITY_FILE = "VITALOPS_AUTHORITY_FILE"
KEY_SECRET = "livekit-api-key"
SECRET_SECRET = "livekit-api-secret"
_SWEEP_SECONDS = 15.0


def _build(context: ServiceContext) -> ConsultationState:
    environment = context.settings.environment
    for name in (URL, PUBLIC_URL):
        if not environment.get(name):
            raise SettingsError(f"{name} is not set")
    media = MediaServer(
        context.settings.secret(KEY_SECRET),
        context.settings.secret(SECRET_SECRET),
        url=environment[URL],
        public_url=environment[PUBLIC_URL],
    )
    return ConsultationState(media, ConsultationMetrics(context.telemetry), _peer(environment))


def _peer(environment: Mapping[str, str]) -> httpx.Client | None:
    url, authority = environment.get(PEER_URL), environment.get(AUTHORITY_FILE)
    if not url:
        return None
    trusted = ssl.create_default_context(cafile=authority or None)
    # LiveKit waits for the answer, and tells the event again where there is none.
    return httpx.Client(base_url=url, verify=trusted, timeout=httpx.Timeout(3.0, connect=1.0))


def _workers(context: ServiceContext, state: ConsultationState) -> Sequence[Worker]:
    return (Worker("sweeper", Sweeper(context, state.metrics).step, interval=_SWEEP_SECONDS),)


SERVICE = ServiceDefinition(
    name="consultation",
    title="Consultation",
    description="Video consultations: opening, waiting room, join tokens for LiveKit, lifecycle from its webhooks.",
    routers=(router, reports_router, modes_router, webhook_router),
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    build=_build,
    workers=_workers,
)
