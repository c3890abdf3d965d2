"""Grafana, where the platform names an image of it: data sources and dashboards are provisioned, nothing is kept.

The dashboards come in as text: they are compiled elsewhere from the same platform. What somebody changes in the pages
is gone with the pod; what should stay belongs into the platform's own dashboards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import yaml

from infra.components.args import RegionArgs
from infra.components.kit import (
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    config_map,
    container_security,
    host,
    http_probe,
    metadata,
    pod_security,
    resources,
    secret,
    service_account,
)
from infra.components.policies import pods, policy, ports
from infra.components.telemetry.flows import asked_by_operators
from infra.components.telemetry.scrape import METRICS_PORT_NAME
from infra.components.telemetry.sizes import SIZES
from infra.components.telemetry.workload import labels, service
from infra.engines.objects import fingerprint
from vitalops import conventions as c
from vitalops.errors import UsageError

NAME: Final = c.GRAFANA_SERVICE
USER: Final = 472
"""The user of Grafana's own images."""
CONFIG: Final = "grafana-config"
SECRETS: Final = "grafana-secrets"  # the Secret's name
DASHBOARDS: Final = "grafana-dashboards"
SECRETS_FOLDER: Final = "/etc/grafana/secrets"
DASHBOARDS_FOLDER: Final = "/etc/grafana/dashboards"
_PROVISIONING: Final = "/etc/grafana/provisioning"
_DATA_FOLDER: Final = "/var/lib/grafana"
MOST_BYTES: Final = 900_000
"""In one ConfigMap. The API server takes 1 MiB, names and metadata included."""
PASSWORD_FILE: Final = "admin-password"  # names of files
KEY_FILE: Final = "secret-key"
FILES: Final = (PASSWORD_FILE, KEY_FILE)


def wanted(args: RegionArgs) -> bool:
    return args.platform.telemetry.grafana is not None


def settings() -> str:
    """grafana.ini. Nobody sees anything without signing in, and Grafana calls nobody outside.

    `$__file{}` is Grafana's own: passwords are read from files, and are in no environment.
    """
    return f"""\
; Compiled by vitalops from platform.yaml: change that instead.
[server]
http_port = {c.GRAFANA_PORT}

[paths]
data = {_DATA_FOLDER}
provisioning = {_PROVISIONING}

[log]
mode = console
level = warn

[log.console]
format = json

[security]
admin_user = admin
admin_password = $__file{{{SECRETS_FOLDER}/{PASSWORD_FILE}}}
secret_key = $__file{{{SECRETS_FOLDER}/{KEY_FILE}}}
disable_gravatar = true
cookie_samesite = strict

[auth.anonymous]
enabled = false

[users]
allow_sign_up = false
allow_org_create = false

[snapshots]
external_enabled = false

[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false

[news]
news_feed_enabled = false

[plugins]
plugin_admin_enabled = false
preinstall_disabled = true
"""


def data_sources(args: RegionArgs) -> str:
    """The region's own telemetry. A trace's id in a log line leads to the trace."""

    def source(name: str, kind: str, program: str, port: int, **data: object) -> dict[str, object]:
        return {
            "name": f"{name} {args.region}",
            "uid": program,
            "type": kind,
            "access": "proxy",
            "url": f"http://{host(program, c.NAMESPACE_TELEMETRY)}:{port}",
            "editable": False,
            **({"jsonData": data} if data else {}),
        }

    interval = f"{args.platform.telemetry.scrape_interval_seconds}s"
    to_trace = {
        "name": "trace",
        "matcherRegex": r'"trace_id":\s*"([0-9a-f]{32})"',
        # Grafana expands variables of the environment here: two dollars are one.
        "url": "$${__value.raw}",
        "datasourceUid": c.TRACES_SERVICE,
    }
    metrics = source(
        "Prometheus",
        "prometheus",
        c.PROMETHEUS_SERVICE,
        c.PROMETHEUS_PORT,
        httpMethod="POST",
        timeInterval=interval,
    )
    made = [
        {**metrics, "isDefault": True},
        source(
            "Alertmanager",
            "alertmanager",
            c.ALERTMANAGER_SERVICE,
            c.ALERTMANAGER_PORT,
            implementation="prometheus",
        ),
        source("Traces", "jaeger", c.TRACES_SERVICE, c.TRACES_QUERY_PORT),
        source("Logs", "loki", c.LOGS_SERVICE, c.LOGS_PORT, derivedFields=[to_trace]),
    ]
    return yaml.safe_dump({"apiVersion": 1, "datasources": made}, sort_keys=False)


def provider() -> str:
    """Where Grafana finds the dashboards."""
    made = {
        "name": "vitalops",
        "folder": "vitalops",
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": DASHBOARDS_FOLDER},
    }
    return yaml.safe_dump({"apiVersion": 1, "providers": [made]}, sort_keys=False)


def split(files: Mapping[str, str], most: int = MOST_BYTES) -> list[dict[str, str]]:
    """The files in their order, in as few groups as that allows, none of more than `most` bytes.

    Raises UsageError for a file that is larger on its own.
    """
    groups: list[dict[str, str]] = []
    room = 0
    for name, text in files.items():
        size = len(name.encode()) + len(text.encode())
        if size > most:
            raise UsageError(f"dashboard {name} is too large for a ConfigMap: {size} bytes of {most}")
        if size > room:
            groups.append({})
            room = most
        groups[-1][name] = text
        room -= size
    return groups


def workloads(args: RegionArgs) -> list[Manifest]:
    """The Deployment. A new one is begun when what it is provisioned with changes."""
    grafana = args.platform.telemetry.grafana
    assert grafana is not None
    made: Manifest = {
        "name": NAME,
        "image": grafana.image,
        "imagePullPolicy": args.pull_policy,
        "env": [{"name": "HOME", "value": "/tmp"}],
        "ports": [{"name": METRICS_PORT_NAME, "containerPort": c.GRAFANA_PORT, "protocol": "TCP"}],
        "volumeMounts": [
            TMP_MOUNT,
            {"name": "data", "mountPath": _DATA_FOLDER},
            {
                "name": "config",
                "mountPath": "/etc/grafana/grafana.ini",
                "subPath": "grafana.ini",
                "readOnly": True,
            },
            {"name": "provisioning", "mountPath": _PROVISIONING, "readOnly": True},
            {"name": "dashboards", "mountPath": DASHBOARDS_FOLDER, "readOnly": True},
            {"name": "secrets", "mountPath": SECRETS_FOLDER, "readOnly": True},
        ],
        "resources": resources(SIZES[NAME]),
        "securityContext": container_security(),
        "startupProbe": http_probe("/api/health", METRICS_PORT_NAME, period=1, failures=120),
        "readinessProbe": http_probe("/api/health", METRICS_PORT_NAME, period=5, failures=3),
        "livenessProbe": http_probe("/api/health", METRICS_PORT_NAME, period=10, failures=6),
    }
    provisioning = [
        {"key": "datasources.yaml", "path": "datasources/vitalops.yaml"},
        {"key": "dashboards.yaml", "path": "dashboards/vitalops.yaml"},
    ]
    volumes: list[Manifest] = [
        TMP_VOLUME,
        {"name": "data", "emptyDir": {"sizeLimit": "256Mi"}},
        {"name": "config", "configMap": {"name": CONFIG}},
        {"name": "provisioning", "configMap": {"name": CONFIG, "items": provisioning}},
        {
            "name": "dashboards",
            "projected": {
                "sources": [{"configMap": {"name": name}} for name in _dashboard_groups(args)],
            },
        },
        {"name": "secrets", "secret": {"secretName": SECRETS, "defaultMode": 0o440}},
    ]
    # Of secrets only their fingerprint.
    content = fingerprint([_config(args), dict(args.secrets.grafana)])
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata(NAME, c.NAMESPACE_TELEMETRY, args.stack, args.region),
            "spec": {
                "replicas": 1,
                "progressDeadlineSeconds": 300,
                "selector": {"matchLabels": {c.LABEL_NAME: NAME}},
                "strategy": {"type": "Recreate"},
                "template": {
                    "metadata": {
                        "labels": labels(NAME, args),
                        "annotations": {c.ANNOTATION_CONFIG_HASH: content},
                    },
                    "spec": {
                        "serviceAccountName": NAME,
                        "automountServiceAccountToken": False,
                        "enableServiceLinks": False,
                        "securityContext": pod_security(USER),
                        "terminationGracePeriodSeconds": 15,
                        "containers": [made],
                        "volumes": volumes,
                    },
                },
            },
        }
    ]


def _config(args: RegionArgs) -> dict[str, str]:
    return {
        "grafana.ini": settings(),
        "datasources.yaml": data_sources(args),
        "dashboards.yaml": provider(),
    }


def _dashboard_groups(args: RegionArgs) -> dict[str, dict[str, str]]:
    """Names of ConfigMaps and what is in them."""
    if not args.dashboards:
        raise UsageError(
            f"region {args.region}: Grafana is asked for, and no dashboards were handed over",
            hint="vitalops dashboards render --out DIR, then: pulumi config set vitalops:dashboards DIR",
        )
    return {f"{DASHBOARDS}-{number}": group for number, group in enumerate(split(args.dashboards), start=1)}


def flows(args: RegionArgs) -> list[Manifest]:
    """To the region's own telemetry; in come operators, through the API server. Nothing leads outside."""
    asked = {
        c.PROMETHEUS_SERVICE: c.PROMETHEUS_PORT,
        c.ALERTMANAGER_SERVICE: c.ALERTMANAGER_PORT,
        c.TRACES_SERVICE: c.TRACES_QUERY_PORT,
        c.LOGS_SERVICE: c.LOGS_PORT,
    }
    return [
        policy(
            NAME,
            c.NAMESPACE_TELEMETRY,
            args,
            {c.LABEL_NAME: NAME},
            egress=[
                {"to": [pods(c.NAMESPACE_TELEMETRY, program)], "ports": ports(port)}
                for program, port in asked.items()
            ],
        ),
        asked_by_operators(NAME, args, c.GRAFANA_PORT),
    ]


def grafana_objects(args: RegionArgs) -> list[Manifest]:
    """Everything of Grafana but its Deployment."""
    namespace, stack, region = c.NAMESPACE_TELEMETRY, args.stack, args.region
    return [
        service_account(NAME, namespace, stack, region),
        config_map(CONFIG, namespace, stack, region, _config(args), NAME),
        *(
            config_map(name, namespace, stack, region, files, NAME)
            for name, files in _dashboard_groups(args).items()
        ),
        secret(SECRETS, namespace, stack, region, args.secrets.grafana, NAME),
        service(NAME, args, {METRICS_PORT_NAME: c.GRAFANA_PORT}),
        *flows(args),
    ]
