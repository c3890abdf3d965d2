"""What the notification service holds while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.background import Worker
from services.notification.metrics import AlertMetrics


@dataclass(frozen=True, slots=True)
class NotificationState:
    """The worker that sends, and its instruments."""

    sender: Worker
    metrics: AlertMetrics
