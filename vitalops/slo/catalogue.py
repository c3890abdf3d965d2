"""Which metrics are exported, by which scrape job, and the bucket bounds of histograms: what an SLI may be measured by.

The services' own are checked against `services/common/metric_names.py` by a test. A platform's own services name
theirs in `exports`; of those nothing more is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from vitalops.conventions import JOB_DATABASE, JOB_GATEWAY, JOB_MEDIA, JOB_PROBER, JOB_SERVICES

_HTTP = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_JOIN = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)
_RATIO = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.25, 0.5)


@dataclass(frozen=True, slots=True)
class Exported:
    """A metric as it is scraped; a histogram's name is without `_bucket`."""

    name: str
    job: str
    bounds: tuple[float, ...] | None = None
    """Of a histogram: upper bounds of its buckets, in its unit, without the infinite one."""

    @property
    def is_counter(self) -> bool:
        return self.bounds is None and self.name.endswith("_total")


_EXPORTED = (
    Exported("haproxy_backend_http_responses_total", JOB_GATEWAY),
    Exported("http_server_request_duration_seconds", JOB_SERVICES, _HTTP),
    Exported("http_server_active_requests", JOB_SERVICES),
    Exported("http_client_request_duration_seconds", JOB_SERVICES, _HTTP),
    Exported("db_client_connection_count", JOB_SERVICES),
    Exported("vitalops_outbox_messages", JOB_SERVICES),
    Exported("vitalops_outbox_oldest_age_seconds", JOB_SERVICES),
    Exported("vitalops_outbox_deliveries_total", JOB_SERVICES),
    Exported("vitalops_idempotency_replays_total", JOB_SERVICES),
    Exported("vitalops_spans_total", JOB_SERVICES),
    Exported("vitalops_consultations", JOB_SERVICES),
    Exported("vitalops_consultation_join_duration_seconds", JOB_SERVICES, _JOIN),
    Exported("vitalops_consultation_media_duration_seconds", JOB_SERVICES, _JOIN),
    Exported("vitalops_consultations_ended_total", JOB_SERVICES),
    Exported("vitalops_call_streams_total", JOB_SERVICES),
    Exported("vitalops_call_loss_ratio", JOB_SERVICES, _RATIO),
    Exported("vitalops_call_jitter_seconds", JOB_SERVICES, (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25)),
    Exported(
        "vitalops_call_rtt_seconds", JOB_SERVICES, (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 1.0)
    ),
    Exported("vitalops_call_mos", JOB_SERVICES, (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.1, 4.2, 4.3, 4.4)),
    Exported("vitalops_call_freeze_ratio", JOB_SERVICES, _RATIO),
    Exported("vitalops_prescription_signatures_total", JOB_SERVICES),
    Exported("vitalops_monitor_alerts_total", JOB_SERVICES),
    Exported("vitalops_monitor_alert_delivery_seconds", JOB_SERVICES, ()),
    Exported("vitalops_prober_walks_total", JOB_PROBER),
    Exported("vitalops_prober_step_failures_total", JOB_PROBER),
    Exported(
        "vitalops_prober_walk_duration_seconds", JOB_PROBER, (2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0)
    ),
    Exported("vitalops_prober_last_walk_timestamp_seconds", JOB_PROBER),
    Exported("patroni_primary", JOB_DATABASE),
    Exported("livekit_room_total", JOB_MEDIA),
)
CATALOGUE = MappingProxyType({each.name: each for each in _EXPORTED})


def exporter_of(metric: str) -> str | None:
    """The scrape job that exports a metric; None for one that only a platform's own services have."""
    known = CATALOGUE.get(metric)
    return known.job if known else None
