"""Which metrics are scraped, from which job, and the bucket bounds of histograms: what an SLI may be measured by.

Tests compare it with what the services, the prober and the scrape configuration say. A platform's own services name
theirs in `exports`; of those nothing more is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from vitalops.conventions import JOB_DATABASE, JOB_GATEWAY, JOB_PROBER, JOB_SERVICES

_HTTP = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_JOIN = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)
_RATIO = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.25, 0.5)
_JITTER = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25)
_RTT = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 1.0)
_MOS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.1, 4.2, 4.3, 4.4)
_DELIVERY = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 1800.0)
_WALK = (2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0)

HISTOGRAM_SUFFIXES: Final = ("_bucket", "_count", "_sum")


@dataclass(frozen=True, slots=True)
class Exported:
    """A metric as it is scraped; a histogram's name is without `_bucket`."""

    name: str
    job: str
    bounds: tuple[float, ...] = ()
    """Of a histogram: upper bounds of its buckets, in its unit, without the infinite one."""

    @property
    def is_counter(self) -> bool:
        """By Prometheus's convention on names, which all of these keep."""
        return not self.bounds and self.name.endswith("_total")


_HISTOGRAMS: Final = (
    Exported("http_server_request_duration_seconds", JOB_SERVICES, _HTTP),
    Exported("http_client_request_duration_seconds", JOB_SERVICES, _HTTP),
    Exported("vitalops_consultation_join_duration_seconds", JOB_SERVICES, _JOIN),
    Exported("vitalops_consultation_media_duration_seconds", JOB_SERVICES, _JOIN),
    Exported("vitalops_call_loss_ratio", JOB_SERVICES, _RATIO),
    Exported("vitalops_call_jitter_seconds", JOB_SERVICES, _JITTER),
    Exported("vitalops_call_rtt_seconds", JOB_SERVICES, _RTT),
    Exported("vitalops_call_mos", JOB_SERVICES, _MOS),
    Exported("vitalops_call_freeze_ratio", JOB_SERVICES, _RATIO),
    Exported("vitalops_monitor_alert_delivery_seconds", JOB_SERVICES, _DELIVERY),
    Exported("vitalops_prober_walk_duration_seconds", JOB_PROBER, _WALK),
)
_OTHERS: Final = {
    JOB_GATEWAY: (
        "haproxy_frontend_http_requests_total",
        "haproxy_frontend_http_responses_total",
        "haproxy_frontend_current_sessions",
        "haproxy_backend_http_requests_total",
        "haproxy_backend_http_responses_total",
        "haproxy_backend_connection_errors_total",
        "haproxy_backend_response_errors_total",
        "haproxy_backend_retry_warnings_total",
        "haproxy_backend_redispatch_warnings_total",
        "haproxy_backend_active_servers",
    ),
    JOB_SERVICES: (
        "http_server_active_requests",
        "db_client_connection_count",
        "vitalops_outbox_messages",
        "vitalops_outbox_oldest_age_seconds",
        "vitalops_outbox_deliveries_total",
        "vitalops_idempotency_replays_total",
        "vitalops_spans_total",
        "vitalops_consultations",
        "vitalops_consultations_ended_total",
        "vitalops_call_streams_total",
        "vitalops_prescription_signatures_total",
        "vitalops_monitor_alerts_total",
    ),
    JOB_PROBER: (
        "vitalops_prober_walks_total",
        "vitalops_prober_step_failures_total",
        "vitalops_prober_last_walk_timestamp_seconds",
    ),
    JOB_DATABASE: ("patroni_primary", "patroni_standby_leader", "patroni_postgres_streaming"),
}


def _catalogue() -> Iterable[Exported]:
    yield from _HISTOGRAMS
    for job, names in _OTHERS.items():
        for name in names:
            yield Exported(name, job)


CATALOGUE = MappingProxyType({each.name: each for each in _catalogue()})


def exported(metric: str) -> Exported | None:
    """The metric behind a name; the name of a histogram may have one of its suffixes. None for what is not known."""
    known = CATALOGUE.get(metric)
    if known is None:
        for suffix in HISTOGRAM_SUFFIXES:
            histogram = CATALOGUE.get(metric.removesuffix(suffix)) if metric.endswith(suffix) else None
            if histogram is not None and histogram.bounds:
                return histogram
    return known


def exporter_of(metric: str) -> str | None:
    """The scrape job that exports a metric; None for one that only a platform's own services have."""
    known = exported(metric)
    return known.job if known else None
