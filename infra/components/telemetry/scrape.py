"""Compiles prometheus.yml: what is scraped in a region, how often, and with which labels. A golden file shows it.

Every series carries region, pair, job, and where there is such a thing namespace, service (the pod's
app.kubernetes.io/name) and pod. Jobs that objectives are measured with are scraped at the platform's interval, the
cluster's own parts more slowly. Of the latter only named metrics are kept: they export a hundred times what is used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import yaml

from infra.components.args import RegionArgs
from infra.components.kit import host_and_port
from infra.components.patroni import POSTGRES
from infra.gateway.edge import GATEWAY_NAME
from infra.gateway.haproxy import REGION_HEALTH_PATH
from vitalops import conventions as c

FOLDER: Final = "/etc/prometheus"
CONFIG_FOLDER: Final = f"{FOLDER}/config"
RULES_FOLDER: Final = f"{FOLDER}/rules"
AUTHORITY_FILE: Final = f"{CONFIG_FOLDER}/ca.crt"
PEER_LABEL: Final = "peer"
METRICS_PORT_NAME: Final = "metrics"
"""Name of the container port that a program of the telemetry is scraped at."""

_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_FILE: Final = f"{_ACCOUNT}/token"
_CLUSTER_AUTHORITY: Final = f"{_ACCOUNT}/ca.crt"
_CLUSTER_SECONDS: Final = 30
_API_SERVER_SECONDS: Final = 60
"""Its answer is megabytes long, most of it dropped here."""
_DNS_METRICS_PORT: Final = 9153

_RANDOM: Final = "[bcdfghjklmnpqrstvwxz2456789]"
"""Letters of the names that Kubernetes makes up: k8s.io/apimachinery/pkg/util/rand."""
_SYNTHETIC: Final = f"(.+){re.escape(c.GATEWAY_SYNTHETIC_SUFFIX)}"

PROCESS: Final = "process_(cpu_seconds_total|resident_memory_bytes|start_time_seconds|open_fds)"
KEPT_OF_GATEWAY: Final = (
    "haproxy_process_(current_connections|max_connections|requests_total|start_time_seconds|idle_time_percent)",
    "haproxy_frontend_(current_sessions|http_requests_total|http_responses_total|bytes_in_total|bytes_out_total"
    "|connections_total|denied_.*)",
    "haproxy_backend_(http_requests_total|http_responses_total|response_time_average_seconds|active_servers|status"
    "|connection_errors_total|response_errors_total|retry_warnings_total|redispatch_warnings_total"
    "|current_queue|current_sessions|bytes_in_total|bytes_out_total)",
)
KEPT_OF_KUBELET: Final = (
    PROCESS,
    "kubelet_(running_pods|running_containers|node_name)",
    "kubelet_volume_stats_(available_bytes|capacity_bytes|used_bytes)",
    "kubelet_runtime_operations_errors_total",
)
KEPT_OF_CONTAINERS: Final = (
    "container_(cpu_usage_seconds_total|memory_working_set_bytes|memory_rss|oom_events_total|start_time_seconds)",
    "container_spec_memory_limit_bytes",
    "container_network_(receive|transmit)_bytes_total",
    "machine_(cpu_cores|memory_bytes)",
)
KEPT_OF_API_SERVER: Final = (
    PROCESS,
    "apiserver_current_inflight_requests",
    "apiserver_request_total",
    "apiserver_storage_size_bytes",
)
KEPT_OF_DNS: Final = (
    PROCESS,
    "coredns_(dns_requests_total|dns_responses_total|panics_total|cache_hits_total|cache_misses_total)",
)
KEPT_OF_TELEMETRY: Final = (
    PROCESS,
    "go_memstats_(heap_inuse_bytes|sys_bytes)",
    "prometheus_config_last_reload_(successful|success_timestamp_seconds)",
    "prometheus_notifications_(alertmanagers_discovered|dropped_total|errors_total|sent_total|queue_length)",
    "prometheus_rule_(evaluation_failures_total|group_iterations_missed_total|group_last_duration_seconds"
    "|group_interval_seconds|group_rules)",
    "prometheus_target_(scrapes_.*_total|sync_failed_total)",
    "prometheus_tsdb_(head_series|head_samples_appended_total|storage_blocks_bytes|compactions_failed_total"
    "|wal_corruptions_total|lowest_timestamp_seconds)",
    "alertmanager_(alerts|silences|config_last_reload_successful)",
    "alertmanager_notifications_(total|failed_total)",
    "jaeger_collector_(spans_dropped_total|spans_saved_by_svc_total|queue_length|in_queue_latency_count)",
    "loki_(distributor_(lines|bytes)_received_total|ingester_memory_streams|discarded_samples_total"
    "|ingester_chunks_stored_total|build_info)",
    "otelcol_(receiver_(accepted|refused)|exporter_(sent|send_failed|enqueue_failed)|processor_.*)_.*",
    "otelcol_exporter_queue_(size|capacity)",
    "grafana_(build_info|http_request_duration_seconds_count)",
)

Config = dict[str, Any]


def compile_scrape(args: RegionArgs) -> str:
    """The text of the region's prometheus.yml."""
    head = "# Compiled by vitalops from platform.yaml: change that instead.\n"
    return head + yaml.safe_dump(configuration(args), sort_keys=False, width=160)


def configuration(args: RegionArgs) -> Config:
    """The file as data."""
    interval = args.platform.telemetry.scrape_interval_seconds
    return {
        "global": {
            "scrape_interval": f"{interval}s",
            "scrape_timeout": timeout(interval),
            "evaluation_interval": f"{interval}s",
            "external_labels": {c.METRIC_REGION: args.region, c.METRIC_PAIR: args.pair},
        },
        "rule_files": [f"{RULES_FOLDER}/*.yaml"],
        "alerting": {
            "alertmanagers": [
                {"static_configs": [{"targets": [f"{c.ALERTMANAGER_SERVICE}:{c.ALERTMANAGER_PORT}"]}]}
            ]
        },
        "scrape_configs": [
            _services(args),
            _gateway(args),
            _media(args),
            _database(args),
            _backups(args),
            _peer(args),
            _prober(args),
            _telemetry(args),
            *_nodes(args),
            _api_server(args),
            _dns(args),
        ],
    }


def timeout(interval: int) -> str:
    """Four fifths of an interval, 10 s at most: a scrape that hangs must not reach into the next."""
    return f"{min(interval * 800, 10_000)}ms"


def _job(name: str, args: RegionArgs, seconds: int, relabel: Sequence[Config]) -> Config:
    interval = max(args.platform.telemetry.scrape_interval_seconds, seconds)
    return {
        "job_name": name,
        "scrape_interval": f"{interval}s",
        "scrape_timeout": timeout(interval),
        "relabel_configs": [
            *relabel,
            _set(c.METRIC_REGION, args.region),
            _set(c.METRIC_PAIR, args.pair),
        ],
    }


def _set(label: str, value: str) -> Config:
    return {"target_label": label, "replacement": value}


def _copy(source: str, label: str) -> Config:
    return {"source_labels": [source], "target_label": label}


def _keep(label: str, expression: str) -> Config:
    return {"source_labels": [label], "regex": expression, "action": "keep"}


def _drop(label: str, expression: str) -> Config:
    return {"source_labels": [label], "regex": expression, "action": "drop"}


def _named(expressions: Sequence[str]) -> Config:
    """Keep these metrics only."""
    return _keep("__name__", "|".join(expressions))


# A runtime's own counters: dozens of series for each pod, none of which anything asks for.
_NO_RUNTIME: Final = _drop("__name__", "go_.*|python_.*|promhttp_.*")


def _pods(
    name: str,
    args: RegionArgs,
    namespaces: Sequence[str],
    port: str,
    selector: str,
    *,
    seconds: int = 0,
    metrics: Sequence[Config] = (_NO_RUNTIME,),
) -> Config:
    """A job over the pods of some namespaces; `port` is the container port's name."""
    relabel = [
        _keep("__meta_kubernetes_pod_container_port_name", port),
        # A Job's pod that has ended is still listed.
        _drop("__meta_kubernetes_pod_phase", "Succeeded|Failed"),
        _copy("__meta_kubernetes_namespace", "namespace"),
        _copy("__meta_kubernetes_pod_label_app_kubernetes_io_name", c.METRIC_SERVICE),
        _copy("__meta_kubernetes_pod_name", "pod"),
        # Addresses change with every pod and mean nothing to a reader.
        _copy("__meta_kubernetes_pod_name", "instance"),
    ]
    discovery: Config = {
        "role": "pod",
        "namespaces": {"names": list(namespaces)},
        "selectors": [{"role": "pod", "label": selector}],
    }
    return {
        **_job(name, args, seconds, relabel),
        "kubernetes_sd_configs": [discovery],
        "metric_relabel_configs": list(metrics),
    }


def _services(args: RegionArgs) -> Config:
    return _pods(c.JOB_SERVICES, args, [c.NAMESPACE_SERVICES], "http", f"{c.LABEL_PART_OF}=vitalops")


def _gateway(args: RegionArgs) -> Config:
    """Series of a backend are a service's; those of its twin for synthetic requests are told apart by `traffic`."""
    metrics = [
        _named(KEPT_OF_GATEWAY),
        _drop("proxy", "rate_by_.*"),
        _set(c.METRIC_TRAFFIC, c.TRAFFIC_REAL),
        {
            "source_labels": ["proxy"],
            "regex": _SYNTHETIC,
            "target_label": c.METRIC_TRAFFIC,
            "replacement": c.TRAFFIC_SYNTHETIC,
        },
        {
            "source_labels": ["proxy"],
            "regex": _SYNTHETIC,
            "target_label": "proxy",
            "replacement": "$1",
        },
    ]
    selector = f"{c.LABEL_NAME}={c.GATEWAY_SERVICE}"
    made = _pods(c.JOB_GATEWAY, args, [c.NAMESPACE_GATEWAY], METRICS_PORT_NAME, selector, metrics=metrics)
    return {**made, "params": {"scope": ["global", "frontend", "backend"]}}


def _media(args: RegionArgs) -> Config:
    selector = f"{c.LABEL_NAME}={c.LIVEKIT_SERVICE}"
    return _pods(c.JOB_MEDIA, args, [c.NAMESPACE_MEDIA], METRICS_PORT_NAME, selector)


def _database(args: RegionArgs) -> Config:
    return _pods(c.JOB_DATABASE, args, [c.NAMESPACE_DATA], "patroni", f"{c.LABEL_NAME}={POSTGRES}")


def _backups(args: RegionArgs) -> Config:
    return _pods(c.JOB_BACKUPS, args, [c.NAMESPACE_DATA], "backup", f"{c.LABEL_NAME}={POSTGRES}", seconds=15)


def _peer(args: RegionArgs) -> Config:
    """The paired region's gateway as this region reaches it: over the same way, and with the same authority, as
    the edge."""
    pair = args.platform.pairs[args.pair]
    peer = pair.standby if args.region == pair.primary else pair.primary
    relabel = [
        _set("namespace", c.NAMESPACE_GATEWAY),
        _set(c.METRIC_SERVICE, c.GATEWAY_SERVICE),
        _set(PEER_LABEL, peer),
        _set("instance", peer),
    ]
    target = host_and_port(args.peer_address, c.NODE_PORT_GATEWAY)
    return {
        **_job(c.JOB_PEER, args, 0, relabel),
        "scheme": "https",
        "metrics_path": REGION_HEALTH_PATH,
        "tls_config": {"ca_file": AUTHORITY_FILE, "server_name": GATEWAY_NAME},
        "static_configs": [{"targets": [target]}],
    }


def _prober(args: RegionArgs) -> Config:
    selector = f"{c.LABEL_NAME}={c.PROBER}"
    return _pods(c.JOB_PROBER, args, [c.NAMESPACE_TELEMETRY], METRICS_PORT_NAME, selector)


def _telemetry(args: RegionArgs) -> Config:
    return _pods(
        c.JOB_TELEMETRY,
        args,
        [c.NAMESPACE_TELEMETRY, c.NAMESPACE_AGENTS],
        METRICS_PORT_NAME,
        f"{c.LABEL_PART_OF}=vitalops,{c.LABEL_NAME}!={c.PROBER}",
        seconds=15,
        metrics=[_named(KEPT_OF_TELEMETRY)],
    )


def _nodes(args: RegionArgs) -> list[Config]:
    """Kubelets, asked directly with this account's token.

    In local regions their certificates are of the cluster's authority. Elsewhere most are self-signed (kubeadm, kind,
    several managed services), so they are not checked: what an impostor on a node's address would gain is a token that
    reads metrics and lists pods, see `prometheus.cluster_role`.
    """
    local = args.platform.regions[args.region].cluster == "local"
    tls: Config = {"ca_file": _CLUSTER_AUTHORITY} if local else {"insecure_skip_verify": True}
    common: Config = {
        "scheme": "https",
        "authorization": {"credentials_file": _TOKEN_FILE},
        "tls_config": tls,
        "kubernetes_sd_configs": [{"role": "node"}],
    }
    relabel = [
        _set(c.METRIC_SERVICE, "kubelet"),
        _copy("__meta_kubernetes_node_name", "node"),
        _copy("__meta_kubernetes_node_name", "instance"),
    ]
    containers = [
        _named(KEPT_OF_CONTAINERS),
        # Of other tenants' pods nothing is kept; the machine itself has no namespace.
        _keep("namespace", "vitalops-.*|"),
        # What counts is the pod: its containers, which not every runtime names, and the slices and machines above it
        # would count everything again.
        {
            "source_labels": ["__name__", "pod", "container"],
            "regex": "container_.*;(;.*|.+;.+)",
            "action": "drop",
        },
        _drop("interface", "lo"),
        _drop("cpu", "cpu.+"),
        {"regex": "id|name|image|container", "action": "labeldrop"},
        # A pod's name is its workload's, and what a Deployment, DaemonSet or StatefulSet adds to it.
        *(
            {
                "source_labels": ["pod"],
                "regex": expression,
                "target_label": c.METRIC_SERVICE,
                "replacement": service,
            }
            for expression, service in (
                (f"(.+)-{_RANDOM}{{5}}", "$1"),
                (f"(.+)-{_RANDOM}{{5,10}}-{_RANDOM}{{5}}", "$1"),
                (r"(.+)-\d+", "$1"),
                (rf"{POSTGRES}-.+-\d+", POSTGRES),
            )
        ),
    ]
    return [
        {
            **_job(c.JOB_KUBELET, args, _CLUSTER_SECONDS, relabel),
            **common,
            "metric_relabel_configs": [
                _named(KEPT_OF_KUBELET),
                _keep("namespace", "vitalops-.*|"),
            ],
        },
        {
            **_job(c.JOB_CONTAINERS, args, _CLUSTER_SECONDS, relabel),
            **common,
            "metrics_path": "/metrics/cadvisor",
            # cAdvisor gives its own times: without this, what has ended would go on being counted for five minutes.
            "track_timestamps_staleness": True,
            "metric_relabel_configs": containers,
        },
    ]


def _endpoints(
    name: str, args: RegionArgs, namespace: str, service: str, relabel: Sequence[Config]
) -> Config:
    seconds = _API_SERVER_SECONDS if name == c.JOB_API_SERVER else _CLUSTER_SECONDS
    labels = [_set("namespace", namespace), _set(c.METRIC_SERVICE, name)]
    return {
        **_job(name, args, seconds, [*relabel, *labels]),
        "kubernetes_sd_configs": [
            {
                "role": "endpointslice",
                "namespaces": {"names": [namespace]},
                "selectors": [{"role": "endpointslice", "label": f"kubernetes.io/service-name={service}"}],
            }
        ],
    }


def _api_server(args: RegionArgs) -> Config:
    made = _endpoints(
        c.JOB_API_SERVER,
        args,
        "default",
        "kubernetes",
        [_keep("__meta_kubernetes_endpointslice_port_name", "https")],
    )
    return {
        **made,
        "scheme": "https",
        "authorization": {"credentials_file": _TOKEN_FILE},
        "tls_config": {"ca_file": _CLUSTER_AUTHORITY, "server_name": "kubernetes.default.svc"},
        "metric_relabel_configs": [
            _named(KEPT_OF_API_SERVER),
            {"regex": "version|component|dry_run|scope|subresource|group", "action": "labeldrop"},
        ],
    }


def _dns(args: RegionArgs) -> Config:
    made = _endpoints(
        c.JOB_DNS,
        args,
        "kube-system",
        "kube-dns",
        [
            _keep("__meta_kubernetes_endpointslice_port_name", "dns"),
            {
                "source_labels": ["__address__"],
                "regex": r"(.+):\d+",
                "target_label": "__address__",
                "replacement": f"$1:{_DNS_METRICS_PORT}",
            },
        ],
    )
    return {**made, "metric_relabel_configs": [_named(KEPT_OF_DNS)]}
