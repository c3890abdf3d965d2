"""What the consultation service holds while it runs."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from services.consultation.media import MediaServer
from services.consultation.metrics import ConsultationMetrics


@dataclass(frozen=True, slots=True)
class ConsultationState:
    """The media server it talks to, its instruments, and the way to the other region."""

    media: MediaServer
    metrics: ConsultationMetrics
    peer: httpx.Client | None = None
    """The gateway of the pair's other region; None where none is named."""
