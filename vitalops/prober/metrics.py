"""What Prometheus reads from a prober. The one module that imports prometheus_client, when a prober is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vitalops.consultation.walk import Outcome
from vitalops.conventions import METRIC_TRAFFIC, TRAFFIC_SYNTHETIC
from vitalops.prober.probe import BROKEN, UNFINISHED, ProbeResult

WALKS: Final = "vitalops_prober_walks"
DURATION: Final = "vitalops_prober_walk_duration_seconds"
STEP_FAILURES: Final = "vitalops_prober_step_failures"
LAST_WALK: Final = "vitalops_prober_last_walk_timestamp_seconds"
_BOUNDS: Final = (2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0)
"""Seconds."""


class ProberMetrics:
    """Every counter is there from the start, at 0: an increase from nothing to 1 could not be seen."""

    def __init__(self, step_names: Iterable[str]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        self._walks = Counter(
            WALKS,
            "Synthetic consultations, by outcome",
            ("outcome", METRIC_TRAFFIC),
            registry=self.registry,
        )
        self._failures = Counter(
            STEP_FAILURES,
            "Synthetic consultations that failed at this step",
            ("step", METRIC_TRAFFIC),
            registry=self.registry,
        )
        self._seconds = Histogram(
            DURATION,
            "How long a synthetic consultation took",
            (METRIC_TRAFFIC,),
            buckets=_BOUNDS,
            registry=self.registry,
        ).labels(TRAFFIC_SYNTHETIC)
        self._last = Gauge(
            LAST_WALK,
            "When the last synthetic consultation ended",
            (METRIC_TRAFFIC,),
            registry=self.registry,
        )
        for outcome in Outcome:
            self._walks.labels(outcome.value, TRAFFIC_SYNTHETIC)
        for step in (*step_names, UNFINISHED, BROKEN):
            self._failures.labels(step, TRAFFIC_SYNTHETIC)

    def record(self, result: ProbeResult) -> None:
        self._walks.labels(result.outcome.value, TRAFFIC_SYNTHETIC).inc()
        self._seconds.observe(result.seconds)
        self._last.labels(TRAFFIC_SYNTHETIC).set(result.started.timestamp() + result.seconds)
        if result.failed_step:
            self._failures.labels(result.failed_step, TRAFFIC_SYNTHETIC).inc()

    def serve(self, port: int, address: str = "0.0.0.0") -> None:  # noqa: S104  # a pod's only address
        """Serves /metrics over HTTP from a thread. Raises UsageError where the port is taken."""
        from prometheus_client import start_http_server

        from vitalops.errors import UsageError

        try:
            start_http_server(port, address, self.registry)
        except OSError as error:
            raise UsageError(
                f"metrics cannot be served at {address}:{port}: {error.strerror}",
                hint="name another --metrics-port",
            ) from None
