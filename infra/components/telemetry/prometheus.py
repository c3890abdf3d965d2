"""A region's Prometheus: one replica with its own volume, what it may read, and whom it may reach."""

from __future__ import annotations

from typing import Final

from infra.components.args import RegionArgs
from infra.components.kit import (
    TMP_MOUNT,
    Manifest,
    config_map,
    http_probe,
    metadata,
    service_account,
)
from infra.components.namespaces import mebibytes
from infra.components.telemetry.reload import reloading
from infra.components.telemetry.rulefiles import rule_maps
from infra.components.telemetry.scrape import (
    CONFIG_FOLDER,
    FOLDER,
    METRICS_PORT_NAME,
    RULES_FOLDER,
    compile_scrape,
)
from infra.components.telemetry.sizes import size_of
from infra.components.telemetry.workload import DATA_VOLUME, container, service, stateful_set
from vitalops import conventions as c

CONFIG: Final = "prometheus-config"
DATA_FOLDER: Final = "/prometheus"
ROLE: Final = "vitalops:prometheus"
# The blocks may fill this much of the volume; the log of the last hours needs room beside them.
_SHARE_OF_VOLUME: Final = 0.8
# Go collects harder near this share of the memory limit.
_SHARE_OF_MEMORY: Final = 0.8
_SHARE_OF_QUERY: Final = 0.25
_SAMPLE_BYTES: Final = 16


def cluster_role(args: RegionArgs) -> Manifest:
    """What Prometheus may ask the API server and the kubelets: lists for discovery, and metrics. No secret, no log,
    no way into a pod."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": metadata(ROLE, None, args.stack, args.region, component=c.PROMETHEUS_SERVICE),
        "rules": [
            {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
            {
                "apiGroups": [""],
                "resources": ["nodes", "pods", "services"],
                "verbs": ["get", "list", "watch"],
            },
            {
                "apiGroups": ["discovery.k8s.io"],
                "resources": ["endpointslices"],
                "verbs": ["get", "list", "watch"],
            },
            {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
        ],
    }


def cluster_role_binding(args: RegionArgs) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata(ROLE, None, args.stack, args.region, component=c.PROMETHEUS_SERVICE),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ROLE},
        "subjects": [
            {"kind": "ServiceAccount", "name": c.PROMETHEUS_SERVICE, "namespace": c.NAMESPACE_TELEMETRY}
        ],
    }


def flags(args: RegionArgs) -> list[str]:
    """The command line. Settings that can change while it runs are in files instead."""
    telemetry = args.platform.telemetry
    blocks = int(mebibytes(telemetry.storage) * _SHARE_OF_VOLUME)
    samples = int(
        mebibytes(size_of(c.PROMETHEUS_SERVICE, args).memory) * _SHARE_OF_QUERY * 2**20 / _SAMPLE_BYTES
    )
    return [
        f"--config.file={CONFIG_FOLDER}/prometheus.yml",
        f"--storage.tsdb.path={DATA_FOLDER}",
        f"--storage.tsdb.retention.time={telemetry.retention_days}d",
        f"--storage.tsdb.retention.size={blocks}MB",
        f"--web.listen-address=:{c.PROMETHEUS_PORT}",
        "--query.timeout=30s",
        "--query.max-concurrency=8",
        # What one query may hold at once: more would end the process instead of the query.
        f"--query.max-samples={samples}",
        "--log.format=json",
        "--log.level=warn",
    ]


def workloads(args: RegionArgs) -> list[Manifest]:
    """The StatefulSet. Changed rules and scrape settings reach it while it runs, see `reload`."""
    name = c.PROMETHEUS_SERVICE
    memory = int(mebibytes(size_of(name, args).memory) * _SHARE_OF_MEMORY)
    made = container(
        name,
        args,
        "telemetry",
        command=reloading(FOLDER, "prometheus", *flags(args)),
        env=[{"name": "HOME", "value": "/tmp"}, {"name": "GOMEMLIMIT", "value": f"{memory}MiB"}],
        ports=[{"name": METRICS_PORT_NAME, "containerPort": c.PROMETHEUS_PORT, "protocol": "TCP"}],
        volumeMounts=[
            TMP_MOUNT,
            {"name": DATA_VOLUME, "mountPath": DATA_FOLDER},
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": "rules", "mountPath": RULES_FOLDER, "readOnly": True},
        ],
        # It answers when its log has been replayed, which after months may take minutes.
        startupProbe=http_probe("/-/ready", METRICS_PORT_NAME, period=1, failures=900),
        readinessProbe=http_probe("/-/ready", METRICS_PORT_NAME, period=5, failures=3),
        livenessProbe=http_probe("/-/healthy", METRICS_PORT_NAME, period=10, failures=6),
    )
    # Every file of every map, unnamed: a rule file more or less is no reason to start again.
    rules = [{"configMap": {"name": manifest["metadata"]["name"]}} for manifest in rule_maps(args)]
    return [
        stateful_set(
            name,
            args,
            made,
            storage=args.platform.telemetry.storage,
            volumes=[
                {"name": "config", "configMap": {"name": CONFIG}},
                {"name": "rules", "projected": {"sources": rules}},
            ],
            grace_seconds=60,
            token=True,
        )
    ]


def prometheus_objects(args: RegionArgs) -> list[Manifest]:
    """Everything of Prometheus but its StatefulSet."""
    name, namespace = c.PROMETHEUS_SERVICE, c.NAMESPACE_TELEMETRY
    settings = {"prometheus.yml": compile_scrape(args), "ca.crt": args.secrets.authority}
    return [
        service_account(name, namespace, args.stack, args.region, automount=True),
        cluster_role(args),
        cluster_role_binding(args),
        config_map(CONFIG, namespace, args.stack, args.region, settings, name),
        *rule_maps(args),
        service(name, args, {METRICS_PORT_NAME: c.PROMETHEUS_PORT}),
    ]
