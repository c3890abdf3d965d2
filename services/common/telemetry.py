"""The instruments of one service process: metrics for Prometheus to scrape, spans for a trace store.

Metrics use Prometheus' own client rather than OpenTelemetry's: with it a series can exist at 0 before anything has
happened. `increase()` sees a counter only from its second sample on, so a series that comes up at 1 hides the event
that made it, and an objective would miss the first failure after every restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.sdk.resources import Resource
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from services.common import metric_names as names
from services.common.shipping import SpanShipper
from services.common.tracing import Ship, Tracer
from services.common.traffic import REAL

# When a series began, as a series of its own: twice the series, and nobody asks.
disable_created_metrics()

Reading = Iterable[tuple[float, Mapping[str, str]]]
Family = type[GaugeMetricFamily] | type[CounterMetricFamily]

SERVICE_NAME: Final = "service.name"
GATEWAY: Final = "gateway"
"""The gateway's name in traces and logs."""


@dataclass(frozen=True)
class Telemetry:
    """The instruments of one service process."""

    tracer: Tracer
    gateway: Resource
    """Whom the spans are by that a service records on the gateway's behalf."""
    registry: CollectorRegistry
    request_duration: Histogram
    active_requests: Gauge
    client_duration: Histogram
    outbox_deliveries: Counter
    idempotent_replays: Counter
    enabled: bool = True
    """False: requests are neither traced nor measured (OTEL_SDK_DISABLED)."""
    shipper: SpanShipper | None = None

    def exposition(self) -> bytes:
        """Every metric in the Prometheus text format."""
        return generate_latest(self.registry)

    def counter(
        self, name: str, text: str, labels: Sequence[str], at_zero: Iterable[Sequence[str]] = ()
    ) -> Counter:
        """A counter; the series with these label values exist at 0 from now on."""
        counter = Counter(name, text, labels, registry=self.registry)
        for values in at_zero:
            counter.labels(*values)
        return counter

    def histogram(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        bounds: Sequence[float],
        at_zero: Iterable[Sequence[str]] = (),
    ) -> Histogram:
        """A histogram with these upper bounds; the series with these label values exist at 0 from now on."""
        histogram = Histogram(name, text, labels, registry=self.registry, buckets=bounds)
        for values in at_zero:
            histogram.labels(*values)
        return histogram

    def observe_gauge(self, name: str, text: str, labels: Sequence[str], read: Callable[[], Reading]) -> None:
        """Publish a gauge whose values `read` returns at each scrape; it must not block."""
        self.registry.register(_Observed(GaugeMetricFamily, name, text, labels, read))

    def expect_route(self, method: str, route: str, status: int) -> None:
        """Have the duration of real requests to a route, answered like this, exist at 0."""
        self.request_duration.labels(method, route, str(status), REAL)

    def shutdown(self) -> None:
        """Send what is left of the spans; takes two seconds at most."""
        if self.shipper is not None:
            self.shipper.close()


class _Observed(Collector):
    """What is read when it is scraped."""

    def __init__(
        self, family: Family, name: str, text: str, labels: Sequence[str], read: Callable[[], Reading]
    ) -> None:
        self._family = family
        self._name, self._text, self._labels, self._read = name, text, list(labels), read

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        family = self._family(self._name, self._text, labels=self._labels)
        for value, labels in self._read():
            family.add_metric([labels[name] for name in self._labels], value)
        yield family


def make_telemetry(
    service: str,
    region: str,
    *,
    otlp_endpoint: str = "",
    trace_ratio: float = 1.0,
    enabled: bool = True,
    ship: Ship | None = None,
) -> Telemetry:
    """Instruments of one service; nothing global is set, several can live in one process.

    Spans go to `otlp_endpoint`, or to `ship` in its place; without either they are made and forgotten.
    """
    shipper = SpanShipper(otlp_endpoint) if otlp_endpoint and ship is None and enabled else None
    registry = CollectorRegistry()
    server = (names.LABEL_METHOD, names.LABEL_ROUTE, names.LABEL_STATUS, names.LABEL_TRAFFIC)
    client = (names.LABEL_METHOD, names.LABEL_SERVER, names.LABEL_STATUS)
    telemetry = Telemetry(
        tracer=Tracer(
            _resource(service, region),
            ratio=trace_ratio if enabled else 0.0,
            ship=ship or (shipper.ship if shipper is not None else None),
        ),
        gateway=_resource(GATEWAY, region),
        registry=registry,
        request_duration=Histogram(
            names.REQUEST_DURATION,
            "Duration of HTTP requests served",
            server,
            registry=registry,
            buckets=names.DURATION_BOUNDS,
        ),
        active_requests=Gauge(
            names.ACTIVE_REQUESTS, "HTTP requests in flight", (names.LABEL_METHOD,), registry=registry
        ),
        client_duration=Histogram(
            names.CLIENT_DURATION,
            "Duration of HTTP requests made to other services",
            client,
            registry=registry,
            buckets=names.DURATION_BOUNDS,
        ),
        outbox_deliveries=Counter(
            names.OUTBOX_DELIVERIES,
            "Attempts to deliver outbox messages",
            (names.LABEL_DESTINATION, names.LABEL_OUTCOME),
            registry=registry,
        ),
        idempotent_replays=Counter(
            names.IDEMPOTENT_REPLAYS, "Responses replayed for a repeated key", registry=registry
        ),
        enabled=enabled,
        shipper=shipper,
    )
    if shipper is not None:
        given = shipper

        def spans() -> Reading:
            yield given.sent, {names.LABEL_OUTCOME: "sent"}
            yield given.dropped, {names.LABEL_OUTCOME: "dropped"}

        text = "Spans by what became of them"
        registry.register(_Observed(CounterMetricFamily, names.SPANS, text, (names.LABEL_OUTCOME,), spans))
    return telemetry


def _resource(service: str, region: str) -> Resource:
    return Resource({SERVICE_NAME: service, "service.namespace": "vitalops", "cloud.region": region})
