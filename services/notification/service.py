"""Definition of the notification service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.common.background import Worker
from services.common.context import ServiceContext
from services.common.definition import ServiceDefinition
from services.notification.api import router
from services.notification.metrics import AlertMetrics
from services.notification.models import Base
from services.notification.providers import LocalProvider
from services.notification.sending import Sender
from services.notification.state import NotificationState

_SEND_SECONDS = 2.0


def _build(context: ServiceContext) -> NotificationState:
    metrics = AlertMetrics(context.telemetry)
    sender = Sender(context, LocalProvider(), metrics)
    return NotificationState(Worker("sender", sender.step, interval=_SEND_SECONDS), metrics)


def _workers(_: ServiceContext, state: NotificationState) -> Sequence[Worker]:
    return (state.sender,)


SERVICE = ServiceDefinition(
    name="notification",
    title="Notification",
    description="Messages to patients and practitioners, made of templates and sent through a provider with retries.",
    routers=(router,),
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    build=_build,
    workers=_workers,
)
