"""Names of every metric that the services expose, as Prometheus sees them and as OpenTelemetry declares them.

HTTP and database names follow the OpenTelemetry semantic conventions; the Prometheus exporter turns dots into
underscores and appends the unit (`http.server.request.duration` in `s` ->
`http_server_request_duration_seconds`).
"""

from __future__ import annotations

from typing import Final

# As declared with OpenTelemetry.
OTEL_REQUEST_DURATION: Final = "http.server.request.duration"
OTEL_ACTIVE_REQUESTS: Final = "http.server.active_requests"
OTEL_CLIENT_DURATION: Final = "http.client.request.duration"
OTEL_CONNECTIONS: Final = "db.client.connection.count"
OTEL_OUTBOX_MESSAGES: Final = "vitalops.outbox.messages"
OTEL_OUTBOX_OLDEST_AGE: Final = "vitalops.outbox.oldest.age"
OTEL_OUTBOX_DELIVERIES: Final = "vitalops.outbox.deliveries"
OTEL_IDEMPOTENT_REPLAYS: Final = "vitalops.idempotency.replays"
OTEL_CONSULTATIONS: Final = "vitalops.consultations"
OTEL_CONSULTATION_JOIN: Final = "vitalops.consultation.join.duration"
OTEL_CONSULTATION_MEDIA: Final = "vitalops.consultation.media.duration"
OTEL_CONSULTATIONS_ENDED: Final = "vitalops.consultations.ended"

# As scraped: what rules, dashboards and gates refer to.
REQUEST_DURATION: Final = "http_server_request_duration_seconds"
ACTIVE_REQUESTS: Final = "http_server_active_requests"
CLIENT_DURATION: Final = "http_client_request_duration_seconds"
CONNECTIONS: Final = "db_client_connection_count"
OUTBOX_MESSAGES: Final = "vitalops_outbox_messages"
OUTBOX_OLDEST_AGE: Final = "vitalops_outbox_oldest_age_seconds"
OUTBOX_DELIVERIES: Final = "vitalops_outbox_deliveries_total"
IDEMPOTENT_REPLAYS: Final = "vitalops_idempotency_replays_total"
CONSULTATIONS: Final = "vitalops_consultations"
CONSULTATION_JOIN: Final = "vitalops_consultation_join_duration_seconds"
CONSULTATION_MEDIA: Final = "vitalops_consultation_media_duration_seconds"
CONSULTATIONS_ENDED: Final = "vitalops_consultations_ended_total"

# Labels of the HTTP metrics, as scraped.
LABEL_METHOD: Final = "http_request_method"
LABEL_ROUTE: Final = "http_route"
LABEL_STATUS: Final = "http_response_status_code"

# Bounds in seconds, as the semantic conventions advise; 0.5 is also the bundled latency threshold.
DURATION_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
