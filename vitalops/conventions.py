"""Every name that more than one part of the suite must agree on. Written here once."""

from __future__ import annotations

from typing import Final

# Kubernetes namespaces.
NAMESPACE_DATA: Final = "vitalops-data"
NAMESPACE_SERVICES: Final = "vitalops-services"
NAMESPACE_MEDIA: Final = "vitalops-media"
NAMESPACE_GATEWAY: Final = "vitalops-gateway"
NAMESPACE_TELEMETRY: Final = "vitalops-telemetry"
NAMESPACE_AGENTS: Final = "vitalops-agents"
"""What must read the node's own files (log shipping): Pod Security is `privileged` there and nowhere else."""
NAMESPACE_BACKUPS: Final = "vitalops-backups"
"""Of the S3 server: apart from the data, so that who may delete the one need not be able to delete the other."""
NAMESPACES: Final = (
    NAMESPACE_DATA,
    NAMESPACE_SERVICES,
    NAMESPACE_MEDIA,
    NAMESPACE_GATEWAY,
    NAMESPACE_TELEMETRY,
    NAMESPACE_AGENTS,
    NAMESPACE_BACKUPS,
)

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
NODE_PORT_GUARD: Final = 30444
NODE_PORT_OBJECTS: Final = 30900
GUARD_PORT: Final = 8009
"""Of the guard beside PostgreSQL: who may write in the pair, and what it sees of the other region and the witness."""
GUARD_LOCAL_PORT: Final = 8010
"""Of the same, on the pod's loopback alone: what Patroni and operations ask of it."""
OBJECTS_PORT: Final = 7070
BACKUP_METRICS_PORT: Final = 9189

# Services of the data layer.
POSTGRES_PRIMARY_SERVICE: Final = "postgres-primary"
POSTGRES_STANDBY_SERVICE: Final = "postgres-standby"
GUARD_SERVICE: Final = "guard"
STANDING: Final = "pair-standing"
"""ConfigMap of the data namespace in which a region keeps its fencing token and which region may write."""
OBJECTS_SERVICE: Final = "objects"
"""The bundled S3 server: it holds the *other* region's backups."""
DATABASE_CLUSTER: Final = "vitalops"
LIVEKIT_SERVICE: Final = "livekit"
GATEWAY_SERVICE: Final = "gateway"

STORAGE_CLASS_LOCAL: Final = "local"

# Images that the suite builds, by role.
IMAGE_NAMES: Final = (
    "pause",
    "base",
    "services",
    "database",
    "gateway",
    "media",
    "telemetry",
    "tracing",
    "logs",
    "log-collector",
    "prober",
    "objects",
)

# Users that the images' processes run as: fixed, so that Pod Security can check them and volumes keep their owner.
UID_SERVICES: Final = 10001
UID_POSTGRES: Final = 10002
UID_GATEWAY: Final = 10003
UID_MEDIA: Final = 10004
UID_TELEMETRY: Final = 10005
UID_PROBER: Final = 10006
UID_OBJECTS: Final = 10007
UID_PAUSE: Final = 65535

SECRETS_NEXT: Final = "next"
"""Folder of a pair's secrets: the other value that is accepted while one is replaced, under the same name."""

# Tokens.
OPERATOR_CLIENT: Final = "vitalops-operator"
"""Client of identity that the suite itself uses: verification, probes, runbooks."""
OPERATOR_SCOPES: Final = ("practitioners:enrol", "audit:read", "calls:steer")
PROBER_CLIENT: Final = "vitalops-prober"
"""Client of identity that the probers in the regions use: its secret leaves the operator's machine."""
PROBER_SCOPES: Final = ("practitioners:enrol",)
TOKEN_AUDIENCE: Final = "vitalops"
HEADER_REQUEST_ID: Final = "x-request-id"
HEADER_IDEMPOTENCY_KEY: Final = "idempotency-key"
HEADER_SYNTHETIC: Final = "x-vitalops-synthetic"
"""`1` on requests of the prober: they are served as any other and counted apart."""
HEADER_GATEWAY_SPAN: Final = "x-vitalops-gateway"
"""From the gateway to the services: when a request arrived (microseconds since 1970), and the span above it."""
GATEWAY_SYNTHETIC_SUFFIX: Final = ".synthetic"
"""Ends the names of the gateway's backends for synthetic requests."""

# Telemetry: services of the namespace vitalops-telemetry, and their ports.
PROMETHEUS_SERVICE: Final = "prometheus"
PROMETHEUS_PORT: Final = 9090
ALERTMANAGER_SERVICE: Final = "alertmanager"
ALERTMANAGER_PORT: Final = 9093
TRACES_SERVICE: Final = "jaeger"
TRACES_OTLP_PORT: Final = 4318
TRACES_QUERY_PORT: Final = 16686
TRACES_METRICS_PORT: Final = 14269
LOGS_SERVICE: Final = "loki"
LOGS_PORT: Final = 3100
COLLECTOR: Final = "log-collector"
COLLECTOR_METRICS_PORT: Final = 8888
PROBER: Final = "prober"
PROBER_METRICS_PORT: Final = 9188
GRAFANA_SERVICE: Final = "grafana"
GRAFANA_PORT: Final = 3000

# Labels of metrics. `region`, `service`, `job`, `pod` and `namespace` are set when a target is scraped; `traffic` is
# real or synthetic.
METRIC_REGION: Final = "region"
METRIC_PAIR: Final = "pair"
METRIC_SERVICE: Final = "service"
METRIC_TRAFFIC: Final = "traffic"
TRAFFIC_REAL: Final = "real"
TRAFFIC_SYNTHETIC: Final = "synthetic"
METRIC_SLO: Final = "slo"
METRIC_SLI: Final = "sli"
METRIC_SEVERITY: Final = "severity"
METRIC_RUNBOOK: Final = "runbook"
SEVERITY_PAGE: Final = "page"
SEVERITY_TICKET: Final = "ticket"

# Scrape jobs.
JOB_SERVICES: Final = "services"
JOB_GATEWAY: Final = "gateway"
JOB_MEDIA: Final = "livekit"
JOB_DATABASE: Final = "patroni"
JOB_KUBELET: Final = "kubelet"
JOB_CONTAINERS: Final = "cadvisor"
JOB_API_SERVER: Final = "apiserver"
JOB_DNS: Final = "coredns"
JOB_TELEMETRY: Final = "telemetry"
JOB_PROBER: Final = "prober"
JOB_BACKUPS: Final = "backups"
JOB_PEER: Final = "peer"
"""The paired region's gateway, seen from this region."""

# Alerts.
ALERT_BURN: Final = "ErrorBudgetBurn"
ALERT_EXHAUSTED: Final = "ErrorBudgetExhausted"
ALERT_SLI_ABSENT: Final = "SliAbsent"
ALERT_PEER_UNREACHABLE: Final = "RegionUnreachable"
ALERT_TARGET_DOWN: Final = "TargetDown"
ALERT_REPLICATION_LAG: Final = "ReplicationLagging"
ALERT_BACKUP_STALE: Final = "BackupStale"
ALERT_ARCHIVE_LAG: Final = "ArchiveLagging"
ALERT_DISK_FILLING: Final = "DiskFilling"
ALERT_PROBER_SILENT: Final = "ProberSilent"
"""The prober runs and no longer walks, so that a quiet night looks like a good one."""
ALERT_WATCHDOG: Final = "Watchdog"
"""Always firing: a receiver that no longer gets it knows that alerting itself is broken."""

# Recorded series (`slo`, `sli`, `service`, `region`, `pair` and, where events are counted, `traffic` label them).
# WINDOW is one of the windows in vitalops/slo/windows.toml, such as 5m or 3d.
RECORD_EVENTS: Final = "slo:events:increase"
RECORD_BAD: Final = "slo:bad_events:increase"
RECORD_RATIO: Final = "slo:errors:ratio"
"""These three are followed by the window: slo:events:increase1h. The base, increase1m, leaves planned work out and is
what budgets are summed from."""
RECORD_OBJECTIVE: Final = "slo:objective:ratio"
RECORD_PRESENT: Final = "slo:sli:present"
RECORD_PLANNED: Final = "slo:planned_work:active"
RECORD_BUDGET_LEFT: Final = "slo:error_budget:remaining"
RECORD_UNJUDGED: Final = "slo:unjudged_events:increase"
"""Events that can be called neither good nor bad, by window as above: in none of the others."""
METRIC_WINDOW: Final = "window"
"""Label of RECORD_OBJECTIVE: length of its error budget's window, such as 30d."""
ALERT_PLANNED: Final = "PlannedWork"
"""Informs, and never goes to anybody."""
SEVERITY_NONE: Final = "none"
"""Of alerts that inform only: they must go to nobody's pager and into nobody's queue."""
