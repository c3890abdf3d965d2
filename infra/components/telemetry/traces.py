"""Jaeger, the region's store of traces: takes them by OTLP, keeps the newest in memory, answers queries."""

from __future__ import annotations

from typing import Final

from infra.components.args import RegionArgs
from infra.components.kit import TMP_MOUNT, TMP_VOLUME, Manifest, http_probe, pod_security, service_account
from infra.components.kit import metadata as object_metadata
from infra.components.namespaces import mebibytes
from infra.components.policies import pods, policy, ports
from infra.components.telemetry.flows import asked_by_operators
from infra.components.telemetry.scrape import METRICS_PORT_NAME
from infra.components.telemetry.sizes import SIZES
from infra.components.telemetry.workload import container, labels, service
from infra.engines.objects import fingerprint
from vitalops import conventions as c

NAME: Final = c.TRACES_SERVICE
MOST_TRACES: Final = 1500
"""Older traces are forgotten: they live in memory, where a span takes 1.6 kB. An idle region has 40 spans a trace
(synthetic walks with hundreds among webhooks with a few): 100 MB. See docs/adr/0007-traces-and-logs.md."""
OTLP_PORT_NAME: Final = "otlp"
QUERY_PORT_NAME: Final = "query"
_SHARE_OF_MEMORY: Final = 0.8


def go_memory(program: str) -> Manifest:
    """Near this share of its memory limit a program in Go collects harder instead of growing."""
    return {"name": "GOMEMLIMIT", "value": f"{int(mebibytes(SIZES[program].memory) * _SHARE_OF_MEMORY)}MiB"}


def flags() -> list[str]:
    """Of Jaeger 1's all-in-one. What is not used listens inside the pod only."""
    return [
        f"--memory.max-traces={MOST_TRACES}",
        f"--collector.otlp.http.host-port=:{c.TRACES_OTLP_PORT}",
        f"--query.http-server.host-port=:{c.TRACES_QUERY_PORT}",
        f"--admin.http.host-port=:{c.TRACES_METRICS_PORT}",
        "--collector.otlp.grpc.host-port=127.0.0.1:4317",
        "--collector.grpc-server.host-port=127.0.0.1:14250",
        "--collector.http-server.host-port=127.0.0.1:14268",
        "--query.grpc-server.host-port=127.0.0.1:16685",
        "--collector.num-workers=4",
        "--log-level=warn",
    ]


def workloads(args: RegionArgs) -> list[Manifest]:
    """The Deployment: nothing of it outlives its pod."""
    made = container(
        NAME,
        args,
        "tracing",
        command=["jaeger", *flags()],
        env=[
            {"name": "HOME", "value": "/tmp"},
            go_memory(NAME),
            # Questions put to it are no part of what it is there to keep.
            {"name": "OTEL_TRACES_SAMPLER", "value": "always_off"},
        ],
        ports=[
            {"name": name, "containerPort": port, "protocol": "TCP"}
            for name, port in (
                (OTLP_PORT_NAME, c.TRACES_OTLP_PORT),
                (QUERY_PORT_NAME, c.TRACES_QUERY_PORT),
                (METRICS_PORT_NAME, c.TRACES_METRICS_PORT),
            )
        ],
        volumeMounts=[TMP_MOUNT],
        startupProbe=http_probe("/", METRICS_PORT_NAME, period=1, failures=60),
        readinessProbe=http_probe("/", METRICS_PORT_NAME, period=5, failures=2),
        livenessProbe=http_probe("/", METRICS_PORT_NAME, period=10, failures=6),
    )
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": object_metadata(NAME, c.NAMESPACE_TELEMETRY, args.stack, args.region),
            "spec": {
                "replicas": 1,
                "progressDeadlineSeconds": 300,
                "selector": {"matchLabels": {c.LABEL_NAME: NAME}},
                # Each has its own memory: two would know half of every trace.
                "strategy": {"type": "Recreate"},
                "template": {
                    "metadata": {
                        "labels": labels(NAME, args),
                        "annotations": {c.ANNOTATION_CONFIG_HASH: fingerprint(flags())},
                    },
                    "spec": {
                        "serviceAccountName": NAME,
                        "automountServiceAccountToken": False,
                        "enableServiceLinks": False,
                        "securityContext": pod_security(c.UID_TELEMETRY),
                        "terminationGracePeriodSeconds": 10,
                        "containers": [made],
                        "volumes": [TMP_VOLUME],
                    },
                },
            },
        }
    ]


def flows(args: RegionArgs) -> list[Manifest]:
    """Spans from the services, the gateway and the prober; questions from operators and Grafana."""
    senders = [pods(c.NAMESPACE_SERVICES), pods(c.NAMESPACE_GATEWAY), pods(c.NAMESPACE_TELEMETRY, c.PROBER)]
    return [
        policy(
            NAME,
            c.NAMESPACE_TELEMETRY,
            args,
            {c.LABEL_NAME: NAME},
            ingress=[{"from": senders, "ports": ports(c.TRACES_OTLP_PORT)}],
        ),
        asked_by_operators(NAME, args, c.TRACES_QUERY_PORT, pods(c.NAMESPACE_TELEMETRY, c.GRAFANA_SERVICE)),
    ]


def traces_objects(args: RegionArgs) -> list[Manifest]:
    """Everything of the store of traces but its Deployment."""
    return [
        service_account(NAME, c.NAMESPACE_TELEMETRY, args.stack, args.region),
        service(NAME, args, {OTLP_PORT_NAME: c.TRACES_OTLP_PORT, QUERY_PORT_NAME: c.TRACES_QUERY_PORT}),
        *flows(args),
    ]
