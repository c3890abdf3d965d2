"""The region's API gateway: HAProxy 3 with the compiled configuration, behind one TLS node port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi

from infra.components.args import RegionArgs
from infra.components.declare import declare
from infra.components.kit import (
    CLUSTER_DOMAIN,
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    config_map,
    container_security,
    disruption_budget,
    host,
    http_probe,
    metadata,
    pod_security,
    resources,
    secret,
    service_account,
    spread,
)
from infra.engines.objects import fingerprint
from infra.gateway.haproxy import CONFIG_FOLDER, GatewayConfig, compile_gateway
from vitalops import conventions as c
from vitalops.revocation import MAP_FILE, MAP_KEY, map_text

CONFIG: Final = "gateway-config"
TLS: Final = "gateway-tls"
# Endpoints are withdrawn while the old process still takes connections; then SIGUSR1 (the image's stop signal) ends the
# listening and lets requests finish; haproxy.cfg's hard-stop-after is the limit.
_WITHDRAW_SECONDS: Final = 3
_GRACE_SECONDS: Final = 30


def compiled(args: RegionArgs) -> str:
    """The region's haproxy.cfg."""
    return compile_gateway(
        GatewayConfig(
            region=args.region,
            issuer=args.issuer,
            key_ids=tuple(key.kid for key in args.secrets.token_keys),
            services=tuple(service for service in args.services if service.public),
            media_host=host(c.LIVEKIT_SERVICE, c.NAMESPACE_MEDIA),
            service_domain=f"{c.NAMESPACE_SERVICES}.{CLUSTER_DOMAIN}",
            trace_ratio=args.platform.telemetry.trace_ratio,
        )
    )


def _settings(args: RegionArgs) -> dict[str, str]:
    keys = {f"key-{key.kid}.pem": key.pem for key in args.secrets.token_keys}
    denied = {MAP_KEY: map_text(args.secrets.denied)}
    return {"haproxy.cfg": compiled(args), "ca.crt": args.secrets.authority, **denied, **keys}


def _volume(args: RegionArgs) -> Manifest:
    keys = [{"key": f"key-{key.kid}.pem", "path": f"keys/{key.kid}.pem"} for key in args.secrets.token_keys]
    items = [
        {"key": "haproxy.cfg", "path": "haproxy.cfg"},
        {"key": "ca.crt", "path": "authority/ca.crt"},
        {"key": MAP_KEY, "path": MAP_FILE.removeprefix(f"{CONFIG_FOLDER}/")},
        *keys,
    ]
    certificate = {"name": TLS, "items": [{"key": "gateway.pem", "path": "tls/gateway.pem"}]}
    return {
        "name": "config",
        "projected": {
            "defaultMode": 0o440,
            "sources": [{"configMap": {"name": CONFIG, "items": items}}, {"secret": certificate}],
        },
    }


def deployment(args: RegionArgs) -> Manifest:
    name = c.GATEWAY_SERVICE
    container: Manifest = {
        "name": "haproxy",
        "image": args.images["gateway"],
        "imagePullPolicy": args.pull_policy,
        "command": ["haproxy", "-W", "-db", "-f", f"{CONFIG_FOLDER}/haproxy.cfg"],
        "env": [{"name": "HOME", "value": "/tmp"}],
        "ports": [
            {"name": "https", "containerPort": c.GATEWAY_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": c.GATEWAY_METRICS_PORT, "protocol": "TCP"},
        ],
        "volumeMounts": [TMP_MOUNT, {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True}],
        "resources": resources(args.platform.gateway.resources),
        "securityContext": container_security(),
        "lifecycle": {"preStop": {"sleep": {"seconds": _WITHDRAW_SECONDS}}},
        "startupProbe": http_probe("/healthz", "metrics", period=1, failures=60),
        "readinessProbe": http_probe("/healthz", "metrics", period=2, failures=2),
        "livenessProbe": http_probe("/healthz", "metrics", period=10, failures=4),
    }
    # The deny list changes while the gateway runs, by its runtime API: no reason to start it anew.
    read = {key: value for key, value in _settings(args).items() if key != MAP_KEY}
    settings = [read, args.secrets.gateway.certificate]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, c.NAMESPACE_GATEWAY, args.stack, args.region),
        "spec": {
            "replicas": args.platform.gateway.replicas,
            "progressDeadlineSeconds": 300,
            "selector": {"matchLabels": {c.LABEL_NAME: name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {
                    "labels": {c.LABEL_NAME: name, c.LABEL_PART_OF: "vitalops", c.LABEL_REGION: args.region},
                    "annotations": {
                        c.ANNOTATION_CONFIG_HASH: fingerprint(settings),
                        "prometheus.io/scrape": "true",
                        "prometheus.io/port": str(c.GATEWAY_METRICS_PORT),
                    },
                },
                "spec": {
                    "serviceAccountName": name,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": pod_security(c.UID_GATEWAY),
                    "terminationGracePeriodSeconds": _GRACE_SECONDS + _WITHDRAW_SECONDS,
                    "topologySpreadConstraints": spread(name),
                    "containers": [container],
                    "volumes": [TMP_VOLUME, _volume(args)],
                },
            },
        },
    }


def gateway_objects(args: RegionArgs) -> list[Manifest]:
    """Everything of the gateway but its Deployment."""
    name, namespace = c.GATEWAY_SERVICE, c.NAMESPACE_GATEWAY
    pair = args.secrets.gateway
    made: list[Manifest] = [
        service_account(name, namespace, args.stack, args.region),
        config_map(CONFIG, namespace, args.stack, args.region, _settings(args), name),
        # HAProxy reads chain and key from one file.
        secret(TLS, namespace, args.stack, args.region, {"gateway.pem": pair.certificate + pair.key}, name),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(
                name, namespace, args.stack, args.region, annotations={"pulumi.com/skipAwait": "true"}
            ),
            "spec": {
                "type": "NodePort",
                "selector": {c.LABEL_NAME: name},
                "ports": [
                    {
                        "name": "https",
                        "port": c.GATEWAY_PORT,
                        "targetPort": "https",
                        "nodePort": c.NODE_PORT_GATEWAY,
                        "protocol": "TCP",
                    }
                ],
            },
        },
    ]
    if args.platform.gateway.replicas > 1:
        made.append(disruption_budget(name, namespace, args.stack, args.region))
    return made


class Gateway(pulumi.ComponentResource):
    """A region's API gateway. It starts without its backends: their names are resolved while it runs."""

    def __init__(
        self,
        args: RegionArgs,
        namespaces: Mapping[str, Sequence[pulumi.Resource]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("vitalops:region:Gateway", "gateway", None, opts)
        before = namespaces[c.NAMESPACE_GATEWAY]
        around = [declare(manifest, parent=self, depends_on=before) for manifest in gateway_objects(args)]
        self.deployment = declare(deployment(args), parent=self, depends_on=around)
        self.register_outputs({})
