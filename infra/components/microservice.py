"""One reference service: account, secrets, Service, Deployment, and what scaling and drains need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi

from infra.components.args import RegionArgs
from infra.components.declare import declare
from infra.components.kit import (
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    config_map,
    container_security,
    disruption_budget,
    field_environment,
    host_and_port,
    http_probe,
    metadata,
    pod_security,
    resources,
    secret,
    service_account,
    spread,
)
from infra.components.migrations import AUTHORITY_FOLDER, SECRETS_FOLDER, database_url
from infra.engines.objects import fingerprint
from vitalops import conventions as c
from vitalops.model.platform import Service

PUBLIC_CONFIG: Final = "platform-public"
JWKS_FOLDER: Final = "/etc/vitalops/jwks"
_HPA_CPU_PERCENT: Final = 70
# SIGTERM -> readiness off (3 s) -> requests in flight end (20 s) -> exit: see services/common/settings.py.
_GRACE_SECONDS: Final = 30


def public_config(args: RegionArgs) -> Manifest:
    """What every service may know: the platform's authority and identity's public keys."""
    values = {"ca.crt": args.secrets.authority, "jwks.json": args.secrets.jwks}
    return config_map(PUBLIC_CONFIG, c.NAMESPACE_SERVICES, args.stack, args.region, values, "platform")


def environment(service: Service, args: RegionArgs) -> dict[str, str]:
    """The service's settings that are not secret."""
    values = {
        "VITALOPS_SERVICE": service.name,
        "VITALOPS_REGION": args.region,
        "VITALOPS_PORT": str(service.port),
        "VITALOPS_ISSUER": args.issuer,
        "OTEL_EXPORTER_OTLP_ENDPOINT": (
            f"http://{c.TRACES_SERVICE}.{c.NAMESPACE_TELEMETRY}:{c.TRACES_OTLP_PORT}"
        ),
        "OTEL_TRACES_SAMPLER_ARG": str(args.platform.telemetry.trace_ratio),
        "HOME": "/tmp",
    }
    if service.database:
        values["VITALOPS_DATABASE_URL"] = database_url(service.name)
    for name in service.depends_on:
        port = args.platform.services[name].port
        variable = f"VITALOPS_URL_{name.upper().replace('-', '_')}"
        values[variable] = f"http://{name}.{c.NAMESPACE_SERVICES}:{port}"
    if service.uses_media:
        values["VITALOPS_LIVEKIT_URL"] = f"http://{c.LIVEKIT_SERVICE}.{c.NAMESPACE_MEDIA}:{c.LIVEKIT_PORT}"
        values["VITALOPS_LIVEKIT_PUBLIC_URL"] = args.public_url.replace("https://", "wss://")
        # Where what happens in this region's calls is told to while the region is the standby.
        values["VITALOPS_PEER_URL"] = f"https://{host_and_port(args.peer_address, c.NODE_PORT_GATEWAY)}"
        values["VITALOPS_AUTHORITY_FILE"] = f"{AUTHORITY_FOLDER}/ca.crt"
    return values


def secret_files(service: Service, args: RegionArgs) -> dict[str, str]:
    files = dict(args.secrets.service_files.get(service.name, {}))
    if service.database:
        files["database-password"] = args.secrets.database.services[service.name]
        if service.name in args.secrets.database.services_next:
            files["database-password-next"] = args.secrets.database.services_next[service.name]
    return files


def deployment(service: Service, args: RegionArgs) -> Manifest:
    variables, files = environment(service, args), secret_files(service, args)
    labels = {
        c.LABEL_NAME: service.name,
        c.LABEL_PART_OF: "vitalops",
        c.LABEL_LAYER: service.layer.value,
        c.LABEL_DATA_CLASS: service.data_class.value,
        c.LABEL_REGION: args.region,
    }
    container: Manifest = {
        "name": service.name,
        "image": args.images["services"],
        "imagePullPolicy": args.pull_policy,
        "command": ["python3", "-m", "services.common.serve", service.name],
        "env": [
            *({"name": name, "value": value} for name, value in variables.items()),
            field_environment("VITALOPS_POD", "metadata.name"),
        ],
        "ports": [{"name": "http", "containerPort": service.port, "protocol": "TCP"}],
        "volumeMounts": [
            TMP_MOUNT,
            {"name": "secrets", "mountPath": SECRETS_FOLDER, "readOnly": True},
            {"name": "authority", "mountPath": AUTHORITY_FOLDER, "readOnly": True},
            {"name": "jwks", "mountPath": JWKS_FOLDER, "readOnly": True},
        ],
        "resources": resources(service.resources),
        "securityContext": container_security(),
        # In a standby region the schema arrives by replication, after the primary region's migrations.
        "startupProbe": http_probe("/livez", "http", period=2, failures=150),
        "readinessProbe": http_probe("/readyz", "http", period=3, failures=2),
        "livenessProbe": http_probe("/livez", "http", period=10, failures=6),
    }
    spec: Manifest = {
        "selector": {"matchLabels": {c.LABEL_NAME: service.name}},
        # A standby region's services become ready when its database has caught up.
        "progressDeadlineSeconds": 900,
        "revisionHistoryLimit": 5,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": {
                "labels": labels,
                "annotations": {
                    c.ANNOTATION_CONFIG_HASH: fingerprint([variables, files, args.secrets.authority]),
                    "prometheus.io/scrape": "true",
                    "prometheus.io/port": str(service.port),
                    "prometheus.io/path": "/metrics",
                },
            },
            "spec": {
                "serviceAccountName": service.name,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": pod_security(c.UID_SERVICES),
                "terminationGracePeriodSeconds": _GRACE_SECONDS,
                "topologySpreadConstraints": spread(service.name),
                "containers": [container],
                "volumes": [
                    TMP_VOLUME,
                    {"name": "secrets", "secret": {"secretName": service.name, "defaultMode": 0o440}},
                    {
                        "name": "authority",
                        "configMap": {"name": PUBLIC_CONFIG, "items": [{"key": "ca.crt", "path": "ca.crt"}]},
                    },
                    {
                        "name": "jwks",
                        "configMap": {
                            "name": PUBLIC_CONFIG,
                            "items": [{"key": "jwks.json", "path": "jwks.json"}],
                        },
                    },
                ],
            },
        },
    }
    if not scales(service):
        spec["replicas"] = service.replicas.minimum
    made = metadata(service.name, c.NAMESPACE_SERVICES, args.stack, args.region, labels=labels)
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": made, "spec": spec}


def scales(service: Service) -> bool:
    """Whether an autoscaler owns the number of replicas."""
    return service.replicas.maximum > service.replicas.minimum


def autoscaler(service: Service, args: RegionArgs) -> Manifest:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(service.name, c.NAMESPACE_SERVICES, args.stack, args.region),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
            "minReplicas": service.replicas.minimum,
            "maxReplicas": service.replicas.maximum,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": _HPA_CPU_PERCENT},
                    },
                }
            ],
        },
    }


def service_objects(service: Service, args: RegionArgs) -> list[Manifest]:
    """Everything of a service but its Deployment."""
    name, namespace = service.name, c.NAMESPACE_SERVICES
    made: list[Manifest] = [
        service_account(name, namespace, args.stack, args.region),
        secret(name, namespace, args.stack, args.region, secret_files(service, args), name),
        {
            "apiVersion": "v1",
            "kind": "Service",
            # The Deployment's readiness is what is waited for; its endpoints follow.
            "metadata": metadata(
                name, namespace, args.stack, args.region, annotations={"pulumi.com/skipAwait": "true"}
            ),
            "spec": {
                "type": "ClusterIP",
                "selector": {c.LABEL_NAME: name},
                "ports": [{"name": "http", "port": service.port, "targetPort": "http", "protocol": "TCP"}],
            },
        },
    ]
    if service.replicas.maximum > 1:
        made.append(disruption_budget(name, namespace, args.stack, args.region))
    if scales(service):
        made.append(autoscaler(service, args))
    return made


class MicroService(pulumi.ComponentResource):
    """A service of platform.yaml in one region."""

    def __init__(
        self,
        service: Service,
        args: RegionArgs,
        depends_on: Sequence[pulumi.Resource],
        namespaces: Mapping[str, Sequence[pulumi.Resource]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("vitalops:region:MicroService", service.name, None, opts)
        before = namespaces[c.NAMESPACE_SERVICES]
        around = [
            declare(manifest, parent=self, depends_on=before) for manifest in service_objects(service, args)
        ]
        self.deployment = declare(deployment(service, args), parent=self, depends_on=[*around, *depends_on])
        self.register_outputs({})
