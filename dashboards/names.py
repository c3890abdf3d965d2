"""Metrics by the names that HAProxy, Patroni, LiveKit, the kubelet, Prometheus and our programs give them."""

from __future__ import annotations

from typing import Final

from vitalops.slo.catalogue import CATALOGUE


def _exported(metric: str) -> str:
    """A metric that SLIs may be measured by. Raises KeyError for one that the catalogue does not know."""
    return CATALOGUE[metric].name


# HAProxy 3.0, its own exporter. `proxy` is a backend's or a frontend's name, `code` a class such as 5xx.
BACKEND_RESPONSES: Final = _exported("haproxy_backend_http_responses_total")
BACKEND_QUEUE: Final = "haproxy_backend_current_queue"
BACKEND_CONNECTION_ERRORS: Final = "haproxy_backend_connection_errors_total"
FRONTEND_RESPONSES: Final = "haproxy_frontend_http_responses_total"
FRONTEND_SESSIONS: Final = "haproxy_frontend_current_sessions"

# Patroni 4.1, /metrics of its REST API.
DATABASE_RUNNING: Final = "patroni_postgres_running"
DATABASE_PRIMARY: Final = "patroni_primary"
DATABASE_STANDBY_LEADER: Final = "patroni_standby_leader"
DATABASE_TIMELINE: Final = "patroni_postgres_timeline"
DATABASE_STREAMING: Final = "patroni_postgres_streaming"
WAL_WRITTEN: Final = "patroni_xlog_location"
WAL_RECEIVED: Final = "patroni_xlog_received_location"
WAL_REPLAYED: Final = "patroni_xlog_replayed_location"
WAL_REPLAYED_AT: Final = "patroni_xlog_replayed_timestamp"
DATABASE_STORE_SEEN: Final = "patroni_dcs_last_seen"

# LiveKit 1.13.
MEDIA_ROOMS: Final = "livekit_room_total"
MEDIA_PARTICIPANTS: Final = "livekit_participant_total"
MEDIA_BYTES: Final = "livekit_packet_bytes"
MEDIA_NACKS: Final = "livekit_nack_total"
MEDIA_PLIS: Final = "livekit_pli_total"
# Histograms. Their labels are direction and type (AUDIO, VIDEO).
MEDIA_LOSS_PERCENT: Final = "livekit_packet_loss_percent"
MEDIA_JITTER_US: Final = "livekit_jitter_us"
MEDIA_RTT_MS: Final = "livekit_rtt_ms"
MEDIA_JOIN_MS: Final = "livekit_session_join_latency_ms"

# cAdvisor, in the kubelet.
CONTAINER_CPU: Final = "container_cpu_usage_seconds_total"
CONTAINER_MEMORY: Final = "container_memory_working_set_bytes"

# Prometheus.
UP: Final = "up"
SCRAPE_SECONDS: Final = "scrape_duration_seconds"
SERIES_KEPT: Final = "prometheus_tsdb_head_series"
RULE_SECONDS: Final = "prometheus_rule_group_last_duration_seconds"
RESIDENT_MEMORY: Final = "process_resident_memory_bytes"

# The platform's own.
REQUEST_SECONDS: Final = _exported("http_server_request_duration_seconds")
REQUESTS_ACTIVE: Final = _exported("http_server_active_requests")
CLIENT_SECONDS: Final = _exported("http_client_request_duration_seconds")
DATABASE_CONNECTIONS: Final = _exported("db_client_connection_count")
OUTBOX_MESSAGES: Final = _exported("vitalops_outbox_messages")
OUTBOX_OLDEST: Final = _exported("vitalops_outbox_oldest_age_seconds")
OUTBOX_DELIVERIES: Final = _exported("vitalops_outbox_deliveries_total")
REPLAYS: Final = _exported("vitalops_idempotency_replays_total")
CONSULTATIONS: Final = _exported("vitalops_consultations")
CONSULTATIONS_ENDED: Final = _exported("vitalops_consultations_ended_total")
JOIN_SECONDS: Final = _exported("vitalops_consultation_join_duration_seconds")
MEDIA_SECONDS: Final = _exported("vitalops_consultation_media_duration_seconds")
CALL_STREAMS: Final = _exported("vitalops_call_streams_total")
CALL_LOSS: Final = _exported("vitalops_call_loss_ratio")
CALL_JITTER: Final = _exported("vitalops_call_jitter_seconds")
CALL_RTT: Final = _exported("vitalops_call_rtt_seconds")
CALL_MOS: Final = _exported("vitalops_call_mos")
CALL_FREEZE: Final = _exported("vitalops_call_freeze_ratio")
SIGNATURES: Final = _exported("vitalops_prescription_signatures_total")
MONITOR_DELIVERY: Final = _exported("vitalops_monitor_alert_delivery_seconds")
MONITOR_ALERTS: Final = _exported("vitalops_monitor_alerts_total")
WALKS: Final = _exported("vitalops_prober_walks_total")
WALK_SECONDS: Final = _exported("vitalops_prober_walk_duration_seconds")
STEP_FAILURES: Final = _exported("vitalops_prober_step_failures_total")
LAST_WALK: Final = _exported("vitalops_prober_last_walk_timestamp_seconds")
