"""How alerts of remote monitors reach their practitioners."""

from __future__ import annotations

from itertools import product
from typing import Final

from services.common import metric_names as names
from services.common.telemetry import Telemetry
from services.common.traffic import TRAFFIC, label

IN_TIME_SECONDS: Final = 30.0
"""From the arrival of the observation that raised it."""
BOUNDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, IN_TIME_SECONDS, 60.0, 300.0, 1800.0)
DELIVERED: Final = "delivered"
LATE: Final = "late"
FAILED: Final = "failed"


class AlertMetrics:
    """Counts each alert once: when it has been delivered, or given up."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._alerts = telemetry.counter(
            names.MONITOR_ALERTS,
            "Alerts of remote monitors, by what became of them",
            (names.LABEL_OUTCOME, names.LABEL_TRAFFIC),
            product((DELIVERED, LATE, FAILED), TRAFFIC),
        )
        self._delivery = telemetry.histogram(
            names.MONITOR_ALERT_DELIVERY,
            "From the arrival of an observation to its alert being delivered",
            (names.LABEL_TRAFFIC,),
            BOUNDS,
            product(TRAFFIC),
        )

    def settled(self, sent: bool, seconds: float, *, synthetic: bool) -> None:
        """An alert was delivered `seconds` after its observation arrived, or given up."""
        traffic = label(synthetic)
        if not sent:
            self._alerts.labels(FAILED, traffic).inc()
            return
        self._delivery.labels(traffic).observe(max(0.0, seconds))
        self._alerts.labels(DELIVERED if seconds <= IN_TIME_SECONDS else LATE, traffic).inc()
