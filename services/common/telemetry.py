"""Traces and metrics by OpenTelemetry: metrics exposed for Prometheus, traces sent by OTLP when told where."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation, UpDownCounter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry, generate_latest

from services.common import metric_names as names

PROPAGATOR = TraceContextTextMapPropagator()
"""W3C trace context: the one format that goes in and out."""


@dataclass(frozen=True)
class Telemetry:
    """The instruments of one service process."""

    tracer: Tracer
    meter: Meter
    registry: CollectorRegistry
    request_duration: Histogram
    active_requests: UpDownCounter
    client_duration: Histogram
    outbox_deliveries: Counter
    idempotent_replays: Counter
    _tracer_provider: TracerProvider
    _meter_provider: MeterProvider

    def exposition(self) -> bytes:
        """Every metric in the Prometheus text format."""
        return generate_latest(self.registry)

    def observe_gauge(
        self, name: str, unit: str, read: Callable[[], Iterable[tuple[float, dict[str, str]]]]
    ) -> None:
        """Publish a gauge whose values `read` returns at each scrape; it must not block."""

        def callback(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value, labels) for value, labels in read()]

        self.meter.create_observable_gauge(name, callbacks=[callback], unit=unit)

    def shutdown(self) -> None:
        """Send what is left and stop the exporters."""
        self._tracer_provider.shutdown()
        self._meter_provider.shutdown()


def make_telemetry(
    service: str,
    region: str,
    *,
    otlp_endpoint: str = "",
    sample_ratio: float = 1.0,
    exporter: SpanExporter | None = None,
) -> Telemetry:
    """Providers and instruments for one service; nothing global is set, several can live in one process."""
    resource = Resource.create(
        {"service.name": service, "service.namespace": "vitalops", "cloud.region": region}
    )
    registry = CollectorRegistry()
    # Scope labels say nothing here: one scope a process.
    reader = PrometheusMetricReader(registry=registry, scope_info_enabled=False)
    meter_provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    tracer_provider = TracerProvider(
        resource=resource, sampler=ParentBased(TraceIdRatioBased(sample_ratio)), shutdown_on_exit=False
    )
    if exporter is None and otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=otlp_endpoint.rstrip("/") + "/v1/traces", timeout=5)
    if exporter is not None:
        tracer_provider.add_span_processor(BatchSpanProcessor(exporter))
    meter = meter_provider.get_meter("vitalops.services")
    return Telemetry(
        tracer=tracer_provider.get_tracer("vitalops.services"),
        meter=meter,
        registry=registry,
        request_duration=meter.create_histogram(
            names.OTEL_REQUEST_DURATION,
            unit="s",
            description="Duration of HTTP requests served",
            explicit_bucket_boundaries_advisory=names.DURATION_BOUNDS,
        ),
        active_requests=meter.create_up_down_counter(
            names.OTEL_ACTIVE_REQUESTS, unit="{request}", description="HTTP requests in flight"
        ),
        client_duration=meter.create_histogram(
            names.OTEL_CLIENT_DURATION,
            unit="s",
            description="Duration of HTTP requests made to other services",
            explicit_bucket_boundaries_advisory=names.DURATION_BOUNDS,
        ),
        outbox_deliveries=meter.create_counter(
            names.OTEL_OUTBOX_DELIVERIES, unit="{delivery}", description="Attempts to deliver outbox messages"
        ),
        idempotent_replays=meter.create_counter(
            names.OTEL_IDEMPOTENT_REPLAYS,
            unit="{replay}",
            description="Responses replayed for a repeated key",
        ),
        _tracer_provider=tracer_provider,
        _meter_provider=meter_provider,
    )
