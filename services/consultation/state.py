"""What the consultation service holds while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from services.consultation.media import MediaServer
from services.consultation.metrics import ConsultationMetrics


@dataclass(frozen=True, slots=True)
class ConsultationState:
    """The media server it talks to, and its instruments."""

    media: MediaServer
    metrics: ConsultationMetrics
