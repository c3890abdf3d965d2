"""The prober of the pair's active region: synthetic consultations through the region's own gateway."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from infra.components.args import RegionArgs, Role
from infra.components.kit import (
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    http_probe,
    metadata,
    pod_security,
    secret,
    service_account,
)
from infra.components.policies import ANYWHERE, networks, pods, policy, ports
from infra.components.telemetry.scrape import METRICS_PORT_NAME
from infra.components.telemetry.workload import container, labels
from infra.engines.objects import fingerprint
from infra.gateway.edge import GATEWAY_NAME
from vitalops import conventions as c
from vitalops.prober import variables as v

FOLDER: Final = "/etc/vitalops/prober"
# SIGTERM -> the walk is broken off, its appointment let go of (5 s), its participants leave (5 s).
_GRACE_SECONDS: Final = 20


def wanted(args: RegionArgs) -> bool:
    """Only where consultations take place: the standby's database takes no bookings."""
    return args.platform.telemetry.prober.enabled and args.role is Role.PRIMARY


def files(args: RegionArgs) -> dict[str, str]:
    """Its own client's secret, and whom to trust. Nothing that could sign or open anything."""
    return {"client-secret": args.secrets.prober, "ca.crt": args.secrets.authority}


def environment(args: RegionArgs) -> dict[str, str]:
    return {
        v.URL: args.public_url,
        # The gateway's certificate carries this name, and every namespace's resolver completes it.
        v.VIA: f"https://{GATEWAY_NAME}:{c.GATEWAY_PORT}",
        v.CA_FILE: f"{FOLDER}/ca.crt",
        v.SECRET_FILE: f"{FOLDER}/client-secret",
        v.INTERVAL: str(args.platform.telemetry.prober.interval_seconds),
        v.REGION: args.region,
        "HOME": "/tmp",
    }


def flows(args: RegionArgs) -> list[Manifest]:
    """To the gateway, and to the media server by the address that it tells its participants, which is the node's.

    A network plugin may judge by the address that was asked for or by the pod that answers, so both are named.
    """
    media = [*ports(c.NODE_PORT_MEDIA_UDP, protocol="UDP"), *ports(c.NODE_PORT_MEDIA_TCP)]
    server = pods(c.NAMESPACE_MEDIA, c.LIVEKIT_SERVICE)
    return [
        policy(
            c.PROBER,
            c.NAMESPACE_TELEMETRY,
            args,
            {c.LABEL_NAME: c.PROBER},
            ingress=[
                {
                    "from": [pods(c.NAMESPACE_TELEMETRY, c.PROMETHEUS_SERVICE)],
                    "ports": ports(c.PROBER_METRICS_PORT),
                }
            ],
            egress=[
                {"to": [pods(c.NAMESPACE_GATEWAY, c.GATEWAY_SERVICE)], "ports": ports(c.GATEWAY_PORT)},
                {"to": [server, *networks(_media_networks(args))], "ports": media},
            ],
        )
    ]


def _media_networks(args: RegionArgs) -> tuple[str, ...]:
    """CIDRs of the address at which the region's media is reached; a name may stand for any."""
    try:
        address = ip_address(args.node_address)
    except ValueError:
        return ANYWHERE
    return (f"{address}/{address.max_prefixlen}",)


def prober_objects(args: RegionArgs) -> list[Manifest]:
    """Everything of the prober but its Deployment."""
    name, namespace = c.PROBER, c.NAMESPACE_TELEMETRY
    return [
        service_account(name, namespace, args.stack, args.region),
        secret(name, namespace, args.stack, args.region, files(args), name),
        *flows(args),
    ]


def workloads(args: RegionArgs) -> list[Manifest]:
    """The Deployment. Never two at once: they would be counted as one."""
    name, variables = c.PROBER, environment(args)
    made = container(
        name,
        args,
        "prober",
        command=["python3", "-m", "vitalops.prober"],
        env=[{"name": key, "value": value} for key, value in variables.items()],
        ports=[{"name": METRICS_PORT_NAME, "containerPort": c.PROBER_METRICS_PORT, "protocol": "TCP"}],
        volumeMounts=[TMP_MOUNT, {"name": "files", "mountPath": FOLDER, "readOnly": True}],
        startupProbe=http_probe("/metrics", METRICS_PORT_NAME, period=1, failures=60),
        readinessProbe=http_probe("/metrics", METRICS_PORT_NAME, period=30, failures=2),
        livenessProbe=http_probe("/metrics", METRICS_PORT_NAME, period=30, failures=4),
    )
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata(name, c.NAMESPACE_TELEMETRY, args.stack, args.region),
            "spec": {
                "replicas": 1,
                "revisionHistoryLimit": 5,
                "selector": {"matchLabels": {c.LABEL_NAME: name}},
                "strategy": {"type": "Recreate"},
                "template": {
                    "metadata": {
                        "labels": labels(name, args),
                        "annotations": {c.ANNOTATION_CONFIG_HASH: fingerprint([variables, files(args)])},
                    },
                    "spec": {
                        "serviceAccountName": name,
                        "automountServiceAccountToken": False,
                        "enableServiceLinks": False,
                        "securityContext": pod_security(c.UID_PROBER),
                        "terminationGracePeriodSeconds": _GRACE_SECONDS,
                        "containers": [made],
                        "volumes": [
                            TMP_VOLUME,
                            {"name": "files", "secret": {"secretName": name, "defaultMode": 0o440}},
                        ],
                    },
                },
            },
        }
    ]
