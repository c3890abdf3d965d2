"""Every name that more than one part of the suite must agree on. Written here once."""

from __future__ import annotations

from typing import Final

# Kubernetes namespaces.
NAMESPACE_DATA: Final = "vitalops-data"
NAMESPACE_SERVICES: Final = "vitalops-services"
NAMESPACE_MEDIA: Final = "vitalops-media"
NAMESPACE_GATEWAY: Final = "vitalops-gateway"
NAMESPACES: Final = (NAMESPACE_DATA, NAMESPACE_SERVICES, NAMESPACE_MEDIA, NAMESPACE_GATEWAY)

# Labels (app.kubernetes.io/* are Kubernetes' recommended ones).
LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_PART_OF: Final = "app.kubernetes.io/part-of"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
LABEL_REGION: Final = "vitalops.dev/region"
LABEL_LAYER: Final = "vitalops.dev/layer"
LABEL_DATA_CLASS: Final = "vitalops.dev/data-class"
LABEL_STACK: Final = "vitalops.dev/stack"
ANNOTATION_CONFIG_HASH: Final = "vitalops.dev/config-hash"
FIELD_MANAGER: Final = "vitalops"

# Ports inside the clusters, and the node ports through which a region is reached.
GATEWAY_PORT: Final = 8443
GATEWAY_METRICS_PORT: Final = 8404
POSTGRES_PORT: Final = 5432
PATRONI_PORT: Final = 8008
LIVEKIT_PORT: Final = 7880
LIVEKIT_METRICS_PORT: Final = 6789
NODE_PORT_GATEWAY: Final = 30443
NODE_PORT_POSTGRES: Final = 30432
NODE_PORT_MEDIA_UDP: Final = 30882
NODE_PORT_MEDIA_TCP: Final = 30881

# Services of the data layer.
POSTGRES_PRIMARY_SERVICE: Final = "postgres-primary"
POSTGRES_STANDBY_SERVICE: Final = "postgres-standby"
DATABASE_CLUSTER: Final = "vitalops"
LIVEKIT_SERVICE: Final = "livekit"
GATEWAY_SERVICE: Final = "gateway"

STORAGE_CLASS_LOCAL: Final = "local"

# Images that the suite builds, by role.
IMAGE_NAMES: Final = ("pause", "base", "services", "database", "gateway", "media")

# Users that the images' processes run as: fixed, so that Pod Security can check them and volumes keep their owner.
UID_SERVICES: Final = 10001
UID_POSTGRES: Final = 10002
UID_GATEWAY: Final = 10003
UID_MEDIA: Final = 10004
UID_PAUSE: Final = 65535

# Tokens.
OPERATOR_CLIENT: Final = "vitalops-operator"
"""Client of identity that the suite itself uses: verification, probes, runbooks."""
OPERATOR_SCOPES: Final = ("practitioners:enrol", "audit:read")
TOKEN_AUDIENCE: Final = "vitalops"
HEADER_REQUEST_ID: Final = "x-request-id"
HEADER_IDEMPOTENCY_KEY: Final = "idempotency-key"
