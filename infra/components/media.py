"""LiveKit, the region's media server: signalling through the gateway, media through one UDP node port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
import yaml

from infra.components.args import RegionArgs
from infra.components.declare import declare
from infra.components.kit import (
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    config_map,
    container_security,
    http_probe,
    metadata,
    pod_security,
    resources,
    secret,
    secret_environment,
    service_account,
    spread,
)
from infra.engines.objects import fingerprint
from vitalops import conventions as c
from vitalops.errors import UsageError

CONFIG: Final = "livekit-config"
KEYS: Final = "livekit-keys"
CONFIG_FOLDER: Final = "/etc/livekit"
# LiveKit ends its rooms on SIGTERM when they are empty, or after this.
_GRACE_SECONDS: Final = 60


def configuration(args: RegionArgs) -> dict[str, Any]:
    """LiveKit's YAML file as data; the API key's secret comes from the environment.

    All media goes through one UDP port, whose number is also the node port's, so that the address LiveKit advertises
    (the node's) is right without host networking. Naming the address also keeps public STUN servers out.
    """
    hooks = [
        f"http://{service.name}.{c.NAMESPACE_SERVICES}:{service.port}/v1/livekit/webhook"
        for service in args.services
        if service.uses_media
    ]
    made: dict[str, Any] = {
        "port": c.LIVEKIT_PORT,
        "prometheus": {"port": c.LIVEKIT_METRICS_PORT},
        "region": args.region,
        "rtc": {
            "udp_port": c.NODE_PORT_MEDIA_UDP,
            "tcp_port": c.NODE_PORT_MEDIA_TCP,
            "use_external_ip": False,
            "node_ip": args.node_address,
        },
        "room": {"empty_timeout": 120, "departure_timeout": 20, "max_participants": 8},
        # At info it logs each participant's network address and device: who calls a health service from where is
        # personal data, and nobody needs it in a log.
        "logging": {"json": True, "level": "warn", "pion_level": "error"},
    }
    if hooks:
        made["webhook"] = {"api_key": args.secrets.media_key, "urls": hooks}
    return made


def deployment(args: RegionArgs) -> Manifest:
    if args.platform.media.replicas > 1:
        raise UsageError(
            f"region {args.region}: {args.platform.media.replicas} media servers are asked for",
            hint="several would need a Redis that tells them of one another's rooms: set media.replicas to 1",
        )
    name, settings = c.LIVEKIT_SERVICE, configuration(args)
    container: Manifest = {
        "name": name,
        "image": args.images["media"],
        "imagePullPolicy": args.pull_policy,
        "command": ["livekit-server", "--config", f"{CONFIG_FOLDER}/livekit.yaml"],
        "env": [secret_environment("LIVEKIT_KEYS", KEYS, "keys"), {"name": "HOME", "value": "/tmp"}],
        "ports": [
            {"name": "http", "containerPort": c.LIVEKIT_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": c.LIVEKIT_METRICS_PORT, "protocol": "TCP"},
            {"name": "rtc-udp", "containerPort": c.NODE_PORT_MEDIA_UDP, "protocol": "UDP"},
            {"name": "rtc-tcp", "containerPort": c.NODE_PORT_MEDIA_TCP, "protocol": "TCP"},
        ],
        "volumeMounts": [TMP_MOUNT, {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True}],
        "resources": resources(args.platform.media.resources),
        "securityContext": container_security(),
        "startupProbe": http_probe("/", "http", period=1, failures=60),
        "readinessProbe": http_probe("/", "http", period=5, failures=2),
        "livenessProbe": http_probe("/", "http", period=10, failures=4),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, c.NAMESPACE_MEDIA, args.stack, args.region),
        "spec": {
            "replicas": 1,
            "progressDeadlineSeconds": 300,
            "selector": {"matchLabels": {c.LABEL_NAME: name}},
            # Two servers behind one UDP port would split a call's packets between them.
            "strategy": {"type": "Recreate"},
            "template": {
                "metadata": {
                    "labels": {c.LABEL_NAME: name, c.LABEL_PART_OF: "vitalops", c.LABEL_REGION: args.region},
                    "annotations": {
                        c.ANNOTATION_CONFIG_HASH: fingerprint([settings, args.secrets.media_secret]),
                        "prometheus.io/scrape": "true",
                        "prometheus.io/port": str(c.LIVEKIT_METRICS_PORT),
                    },
                },
                "spec": {
                    "serviceAccountName": name,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": pod_security(c.UID_MEDIA),
                    "terminationGracePeriodSeconds": _GRACE_SECONDS,
                    "topologySpreadConstraints": spread(name),
                    "containers": [container],
                    "volumes": [TMP_VOLUME, {"name": "config", "configMap": {"name": CONFIG}}],
                },
            },
        },
    }


def media_objects(args: RegionArgs) -> list[Manifest]:
    """Everything of the media server but its Deployment."""
    name, namespace = c.LIVEKIT_SERVICE, c.NAMESPACE_MEDIA

    def service(service_name: str, spec: Manifest) -> Manifest:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(
                service_name,
                namespace,
                args.stack,
                args.region,
                component=name,
                annotations={"pulumi.com/skipAwait": "true"},
            ),
            "spec": {"selector": {c.LABEL_NAME: name}, **spec},
        }

    def node_port(port: int, target: str, protocol: str) -> Manifest:
        return {"name": target, "port": port, "targetPort": target, "nodePort": port, "protocol": protocol}

    return [
        service_account(name, namespace, args.stack, args.region),
        config_map(
            CONFIG,
            namespace,
            args.stack,
            args.region,
            {"livekit.yaml": yaml.safe_dump(configuration(args), sort_keys=False)},
            name,
        ),
        secret(
            KEYS,
            namespace,
            args.stack,
            args.region,
            {"keys": f"{args.secrets.media_key}: {args.secrets.media_secret}"},
            name,
        ),
        service(
            name,
            {
                "type": "ClusterIP",
                "ports": [{"name": "http", "port": c.LIVEKIT_PORT, "targetPort": "http", "protocol": "TCP"}],
            },
        ),
        service(
            f"{name}-media",
            {
                "type": "NodePort",
                # Packets keep their source, and no node forwards media to another.
                "externalTrafficPolicy": "Local",
                "ports": [
                    node_port(c.NODE_PORT_MEDIA_UDP, "rtc-udp", "UDP"),
                    node_port(c.NODE_PORT_MEDIA_TCP, "rtc-tcp", "TCP"),
                ],
            },
        ),
    ]


class Media(pulumi.ComponentResource):
    """A region's media server."""

    def __init__(
        self,
        args: RegionArgs,
        namespaces: Mapping[str, Sequence[pulumi.Resource]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("vitalops:region:Media", "media", None, opts)
        before = namespaces[c.NAMESPACE_MEDIA]
        around = [declare(manifest, parent=self, depends_on=before) for manifest in media_objects(args)]
        self.deployment = declare(deployment(args), parent=self, depends_on=around)
        self.register_outputs({})
