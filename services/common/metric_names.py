"""Names, labels and bounds of every metric that the services expose, as Prometheus sees them.

HTTP and database names follow the OpenTelemetry semantic conventions as Prometheus writes them: dots become
underscores and the unit is appended (`http.server.request.duration` in `s` -> `http_server_request_duration_seconds`).
"""

from __future__ import annotations

from typing import Final

REQUEST_DURATION: Final = "http_server_request_duration_seconds"
ACTIVE_REQUESTS: Final = "http_server_active_requests"
CLIENT_DURATION: Final = "http_client_request_duration_seconds"
CONNECTIONS: Final = "db_client_connection_count"
OUTBOX_MESSAGES: Final = "vitalops_outbox_messages"
OUTBOX_OLDEST_AGE: Final = "vitalops_outbox_oldest_age_seconds"
OUTBOX_DELIVERIES: Final = "vitalops_outbox_deliveries_total"
IDEMPOTENT_REPLAYS: Final = "vitalops_idempotency_replays_total"
SPANS: Final = "vitalops_spans_total"

CONSULTATIONS: Final = "vitalops_consultations"
CONSULTATION_JOIN: Final = "vitalops_consultation_join_duration_seconds"
CONSULTATION_MEDIA: Final = "vitalops_consultation_media_duration_seconds"
CONSULTATIONS_ENDED: Final = "vitalops_consultations_ended_total"
CALL_STREAMS: Final = "vitalops_call_streams_total"
CALL_LOSS: Final = "vitalops_call_loss_ratio"
CALL_JITTER: Final = "vitalops_call_jitter_seconds"
CALL_RTT: Final = "vitalops_call_rtt_seconds"
CALL_MOS: Final = "vitalops_call_mos"
CALL_FREEZE: Final = "vitalops_call_freeze_ratio"
PRESCRIPTION_SIGNATURES: Final = "vitalops_prescription_signatures_total"
MONITOR_ALERTS: Final = "vitalops_monitor_alerts_total"
MONITOR_ALERT_DELIVERY: Final = "vitalops_monitor_alert_delivery_seconds"

LABEL_METHOD: Final = "http_request_method"
LABEL_ROUTE: Final = "http_route"
LABEL_STATUS: Final = "http_response_status_code"
LABEL_SERVER: Final = "server_address"
LABEL_CONNECTION_STATE: Final = "db_client_connection_state"
LABEL_TRAFFIC: Final = "traffic"
LABEL_OUTCOME: Final = "outcome"
LABEL_STATE: Final = "state"
LABEL_MEDIA: Final = "media"
LABEL_PARTY: Final = "party"
LABEL_DESTINATION: Final = "destination"

# Bounds in seconds, as the semantic conventions advise; 0.5 is also the bundled latency threshold.
DURATION_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
