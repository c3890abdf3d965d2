"""The log shipper of each node: reads what the pods print, makes it searchable, and hands it to the store of logs.

It reads the files that the kubelet keeps, so a pod need not know of it, and a line is not lost with its pod. Where it
is in each file, and what it could not deliver yet, outlives its container, not its pod: a new pod reads the files again
from their beginning, and the store shows once what it got twice.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from infra.components.args import RegionArgs
from infra.components.kit import (
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    config_map,
    field_environment,
    http_probe,
    service_account,
)
from infra.components.kit import metadata as object_metadata
from infra.components.patroni import POSTGRES
from infra.components.policies import MIGRATIONS, pods, policy, ports
from infra.components.telemetry.scrape import METRICS_PORT_NAME
from infra.components.telemetry.sizes import SIZES
from infra.components.telemetry.traces import go_memory
from infra.components.telemetry.workload import container, labels
from infra.engines.objects import fingerprint
from vitalops import conventions as c

NAME: Final = c.COLLECTOR
CONFIG: Final = "log-collector-config"
CONFIG_FOLDER: Final = "/etc/log-collector"
STATE_FOLDER: Final = "/var/lib/log-collector"
PODS_FOLDER: Final = "/var/log/pods"
HEALTH_PORT: Final = 13133
HEALTH_PORT_NAME: Final = "health"
_ROOT_GROUP: Final = 0
"""The kubelet's files are root's and its group may read them: so this group, and not the user root."""
_MEMORY_SHARES: Final = {"limit_percentage": 75, "spike_limit_percentage": 20}

Operator = dict[str, Any]


def program_names(args: RegionArgs) -> list[str]:
    """Names that pods may begin with, the longer first: of two that begin alike the whole one must win."""
    names = {service.name for service in args.services}
    names |= {c.GATEWAY_SERVICE, c.LIVEKIT_SERVICE, POSTGRES, MIGRATIONS, *SIZES}
    return sorted(names, key=lambda name: (-len(name), name))


def operators(args: RegionArgs) -> list[Operator]:
    """From a line of a kubelet's file to what is stored: region, service, pod, time, level, trace and event, and the
    line itself, unchanged."""
    names = "|".join(program_names(args))
    parsed = "attributes.line?"
    return [
        # Joins lines that the runtime has cut, and takes pod and container from the file's path.
        {"type": "container", "add_metadata_from_filepath": True},
        {"type": "add", "field": "resource.region", "value": args.region},
        {
            "type": "regex_parser",
            "id": "service",
            "parse_from": 'resource["k8s.pod.name"]',
            "parse_to": "resource",
            "regex": f"^(?P<service>{names})(?:-|$)",
            "on_error": "send_quiet",
        },
        {
            "type": "copy",
            "id": "service-of-container",
            "if": "resource.service == nil",
            "from": 'resource["k8s.container.name"]',
            "to": "resource.service",
        },
        {"type": "move", "id": "pod", "from": 'resource["k8s.pod.name"]', "to": "resource.pod"},
        {
            "type": "move",
            "id": "container-name",
            "from": 'resource["k8s.container.name"]',
            "to": "resource.container",
        },
        {
            "type": "json_parser",
            "id": "line",
            "if": 'body matches "^\\\\{"',
            "parse_to": "attributes.line",
            "on_error": "send_quiet",
        },
        {
            "type": "move",
            "id": "level",
            "if": f'type({parsed}.level) == "string"',
            "from": "attributes.line.level",
            "to": "attributes.level",
        },
        {
            # PostgreSQL, Patroni and HAProxy in words; others as logfmt.
            "type": "regex_parser",
            "id": "level-of-text",
            "if": "attributes.line == nil",
            "regex": r"(?:^|[\s\[]|level=)(?P<level>"
            r"(?i:debug|info|notice|log|warn|warning|error|fatal|panic|critical|alert))(?::\s|\]|\s|$)",
            "on_error": "send_quiet",
        },
        {
            "type": "severity_parser",
            "if": "attributes.level != nil",
            "parse_from": "attributes.level",
            "overwrite_text": True,
            "mapping": {
                "info": ["log", "notice"],
                "warn": ["warning"],
                "fatal": ["panic", "critical", "alert"],
            },
            "on_error": "send_quiet",
        },
        {
            "type": "trace_parser",
            "if": f'({parsed}.trace_id ?? "") matches "^[0-9a-f]{{32}}$"',
            "trace_id": {"parse_from": "attributes.line.trace_id"},
            "span_id": {"parse_from": "attributes.line.span_id"},
            "on_error": "send_quiet",
        },
        {
            # Names of events; sentences stay in the line.
            "type": "move",
            "id": "event",
            "if": f'({parsed}.event ?? "") matches "^[a-z][a-z0-9_.-]{{1,63}}$"',
            "from": "attributes.line.event",
            "to": "attributes.event",
        },
        {
            "type": "retain",
            "fields": [
                "attributes.event",
                *(f"resource.{name}" for name in ("region", "service", "pod", "container")),
            ],
        },
    ]


def configuration(args: RegionArgs) -> dict[str, Any]:
    """The collector's file as data."""
    return {
        "extensions": {
            "health_check": {"endpoint": f"${{env:POD_IP}}:{HEALTH_PORT}"},
            "file_storage": {
                "directory": STATE_FOLDER,
                "compaction": {"on_start": True, "directory": "/tmp"},
            },
        },
        "receivers": {
            "file_log": {
                # The platform's own pods, whatever else runs on the node. Not its own: it would write about what it
                # reads for ever.
                "include": [f"{PODS_FOLDER}/vitalops-*_*/*/*.log"],
                "exclude": [f"{PODS_FOLDER}/{c.NAMESPACE_AGENTS}_*/*/*.log"],
                "start_at": "beginning",
                "include_file_path": True,
                "include_file_name": False,
                "poll_interval": "500ms",
                "max_log_size": "64KiB",
                "max_concurrent_files": 64,
                "storage": "file_storage",
                # While nothing can be handed on, nothing more is read.
                "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
                "operators": operators(args),
            }
        },
        "processors": {
            "memory_limiter": {"check_interval": "1s", **_MEMORY_SHARES},
            "batch": {"timeout": "500ms", "send_batch_size": 1000, "send_batch_max_size": 2000},
        },
        "exporters": {
            "otlp_http": {
                "logs_endpoint": f"http://{c.LOGS_SERVICE}.{c.NAMESPACE_TELEMETRY}:{c.LOGS_PORT}/otlp/v1/logs",
                "compression": "gzip",
                "timeout": "10s",
                "retry_on_failure": {"enabled": True, "max_interval": "10s", "max_elapsed_time": "0s"},
                "sending_queue": {
                    "enabled": True,
                    "num_consumers": 1,
                    "queue_size": 100,
                    "block_on_overflow": True,
                    "storage": "file_storage",
                },
            }
        },
        "service": {
            "extensions": ["health_check", "file_storage"],
            "pipelines": {
                "logs": {
                    "receivers": ["file_log"],
                    "processors": ["memory_limiter", "batch"],
                    "exporters": ["otlp_http"],
                }
            },
            "telemetry": {
                "logs": {"level": "warn", "encoding": "json"},
                "metrics": {
                    "level": "basic",
                    "readers": [
                        {
                            "pull": {
                                "exporter": {
                                    "prometheus": {"host": "${env:POD_IP}", "port": c.COLLECTOR_METRICS_PORT}
                                }
                            }
                        }
                    ],
                },
            },
        },
    }


def compile_collector(args: RegionArgs) -> str:
    """The text of the region's log-collector.yaml."""
    head = "# Compiled by vitalops from platform.yaml: change that instead.\n"
    return head + yaml.safe_dump(configuration(args), sort_keys=False, width=160)


def workloads(args: RegionArgs) -> list[Manifest]:
    """The DaemonSet: one pod on every node, the control plane's too."""
    made = container(
        NAME,
        args,
        "log-collector",
        command=["log-collector", f"--config={CONFIG_FOLDER}/log-collector.yaml"],
        env=[field_environment("POD_IP", "status.podIP"), {"name": "HOME", "value": "/tmp"}, go_memory(NAME)],
        ports=[
            {"name": METRICS_PORT_NAME, "containerPort": c.COLLECTOR_METRICS_PORT, "protocol": "TCP"},
            {"name": HEALTH_PORT_NAME, "containerPort": HEALTH_PORT, "protocol": "TCP"},
        ],
        volumeMounts=[
            TMP_MOUNT,
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": "state", "mountPath": STATE_FOLDER},
            {"name": "pod-logs", "mountPath": PODS_FOLDER, "readOnly": True},
        ],
        startupProbe=http_probe("/", HEALTH_PORT_NAME, period=1, failures=60),
        readinessProbe=http_probe("/", HEALTH_PORT_NAME, period=5, failures=2),
        livenessProbe=http_probe("/", HEALTH_PORT_NAME, period=10, failures=6),
    )
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": object_metadata(NAME, c.NAMESPACE_AGENTS, args.stack, args.region),
            "spec": {
                "selector": {"matchLabels": {c.LABEL_NAME: NAME}},
                "updateStrategy": {"type": "RollingUpdate"},
                "template": {
                    "metadata": {
                        "labels": labels(NAME, args),
                        "annotations": {c.ANNOTATION_CONFIG_HASH: fingerprint(compile_collector(args))},
                    },
                    "spec": {
                        "serviceAccountName": NAME,
                        "automountServiceAccountToken": False,
                        "enableServiceLinks": False,
                        "securityContext": {
                            "runAsNonRoot": True,
                            "runAsUser": c.UID_TELEMETRY,
                            "runAsGroup": _ROOT_GROUP,
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                        "terminationGracePeriodSeconds": 15,
                        # A node that takes no other pods has logs too.
                        "tolerations": [{"operator": "Exists"}],
                        "containers": [made],
                        "volumes": [
                            TMP_VOLUME,
                            {"name": "config", "configMap": {"name": CONFIG}},
                            {"name": "state", "emptyDir": {"sizeLimit": "256Mi"}},
                            {"name": "pod-logs", "hostPath": {"path": args.pod_logs, "type": "Directory"}},
                        ],
                    },
                },
            },
        }
    ]


def flows(args: RegionArgs) -> list[Manifest]:
    """Lines to the store of logs."""
    store = pods(c.NAMESPACE_TELEMETRY, c.LOGS_SERVICE)
    return [
        policy(
            NAME,
            c.NAMESPACE_AGENTS,
            args,
            {c.LABEL_NAME: NAME},
            egress=[{"to": [store], "ports": ports(c.LOGS_PORT)}],
        )
    ]


def collector_objects(args: RegionArgs) -> list[Manifest]:
    """Everything of the shipper but its DaemonSet."""
    settings = {"log-collector.yaml": compile_collector(args)}
    return [
        service_account(NAME, c.NAMESPACE_AGENTS, args.stack, args.region),
        config_map(CONFIG, c.NAMESPACE_AGENTS, args.stack, args.region, settings, NAME),
        *flows(args),
    ]
