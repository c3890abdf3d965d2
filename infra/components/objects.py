"""The bundled S3 server of a region: it holds the backups of the pair's other region, and nothing else.

One bucket, named after the region whose backups it holds, and one key, which only that region has. What comes in is
encrypted already; the server has no key to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi

from infra.components.args import RegionArgs
from infra.components.backup import access_key
from infra.components.declare import declare
from infra.components.kit import (
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    container_security,
    host,
    metadata,
    pod_security,
    resources,
    secret,
    secret_environment,
    service_account,
)
from infra.components.namespaces import mebibytes
from infra.components.policies import networks, policy, ports
from infra.engines.objects import fingerprint
from vitalops import conventions as c

NAME: Final = c.OBJECTS_SERVICE
NAMESPACE: Final = c.NAMESPACE_BACKUPS
DATA_FOLDER: Final = "/data"
TLS_FOLDER: Final = "/etc/vitalops/objects-tls"
HEALTH: Final = "/healthz"
CONNECTIONS: Final = 64
"""At once. pgBackRest uses a handful; a limit keeps the memory's."""
SCRATCH_LABEL: Final = "vitalops.dev/restore"
"""Of namespaces into which a backup is restored to look at it."""


def server_names() -> tuple[str, ...]:
    """DNS names under which the server is reached inside of its region, for its certificate."""
    return ("localhost", f"{NAME}.{NAMESPACE}", host(NAME, NAMESPACE))


def source_region(args: RegionArgs) -> str:
    """The region whose backups are held here."""
    pair = args.platform.pairs[args.pair]
    return pair.standby if args.region == pair.primary else pair.primary


def service(args: RegionArgs) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(NAME, NAMESPACE, args.stack, args.region),
        "spec": {
            "type": "NodePort",
            "selector": {c.LABEL_NAME: NAME},
            "ports": [
                {
                    "name": "s3",
                    "port": c.OBJECTS_PORT,
                    "targetPort": "s3",
                    "nodePort": c.NODE_PORT_OBJECTS,
                    "protocol": "TCP",
                }
            ],
        },
    }


def objects_objects(args: RegionArgs) -> list[Manifest]:
    """Everything but the StatefulSet."""
    tls = args.secrets.backup.server
    return [
        service_account(NAME, NAMESPACE, args.stack, args.region),
        secret(f"{NAME}-key", NAMESPACE, args.stack, args.region, {"secret": args.secrets.backup.held}, NAME),
        secret(
            f"{NAME}-tls",
            NAMESPACE,
            args.stack,
            args.region,
            {"tls.crt": tls.certificate, "tls.key": tls.key},
            NAME,
        ),
        service(args),
        *flows(args),
    ]


def stateful_set(args: RegionArgs) -> Manifest:
    source, image = source_region(args), args.images["objects"]
    probe: Manifest = {
        "httpGet": {"path": HEALTH, "port": "s3", "scheme": "HTTPS"},
        "timeoutSeconds": 3,
    }
    data: Manifest = {"name": "data", "mountPath": DATA_FOLDER}
    bucket: Manifest = {
        "name": "bucket",
        "image": image,
        "imagePullPolicy": args.pull_policy,
        "command": ["mkdir", "-p", f"{DATA_FOLDER}/{source}"],
        "volumeMounts": [data],
        "resources": resources(args.platform.backups.resources),
        "securityContext": container_security(),
    }
    server: Manifest = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": args.pull_policy,
        "command": [
            "versitygw",
            f"--port=:{c.OBJECTS_PORT}",
            f"--region={args.region}",
            f"--cert={TLS_FOLDER}/tls.crt",
            f"--key={TLS_FOLDER}/tls.key",
            f"--health={HEALTH}",
            f"--max-connections={CONNECTIONS}",
            f"--max-requests={CONNECTIONS}",
            "--keep-alive",
            "--quiet",
            "posix",
            DATA_FOLDER,
        ],
        "env": [
            {"name": "ROOT_ACCESS_KEY_ID", "value": access_key(source)},
            secret_environment("ROOT_SECRET_ACCESS_KEY", f"{NAME}-key", "secret"),
            {
                "name": "GOMEMLIMIT",
                "value": f"{mebibytes(args.platform.backups.resources.memory) * 3 // 4}MiB",
            },
            {"name": "HOME", "value": "/tmp"},
        ],
        "ports": [{"name": "s3", "containerPort": c.OBJECTS_PORT, "protocol": "TCP"}],
        "volumeMounts": [TMP_MOUNT, data, {"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True}],
        "resources": resources(args.platform.backups.resources),
        "securityContext": container_security(),
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {**probe, "periodSeconds": 10, "failureThreshold": 3},
        "livenessProbe": {**probe, "periodSeconds": 20, "failureThreshold": 6},
    }
    hashed = fingerprint([args.secrets.backup.held, args.secrets.backup.server.certificate])
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(NAME, NAMESPACE, args.stack, args.region),
        "spec": {
            "serviceName": NAME,
            "replicas": 1,
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate"},
            "selector": {"matchLabels": {c.LABEL_NAME: NAME}},
            "template": {
                "metadata": {
                    "labels": {c.LABEL_NAME: NAME, c.LABEL_PART_OF: "vitalops", c.LABEL_REGION: args.region},
                    "annotations": {c.ANNOTATION_CONFIG_HASH: hashed},
                },
                "spec": {
                    "serviceAccountName": NAME,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": pod_security(c.UID_OBJECTS),
                    "terminationGracePeriodSeconds": 20,
                    "initContainers": [bucket],
                    "containers": [server],
                    "volumes": [
                        TMP_VOLUME,
                        {"name": "tls", "secret": {"secretName": f"{NAME}-tls", "defaultMode": 0o440}},
                    ],
                },
            },
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "storageClassName": args.storage_class,
                        "resources": {"requests": {"storage": args.platform.backups.storage}},
                    },
                }
            ],
        },
    }


def flows(args: RegionArgs) -> list[Manifest]:
    """From the other region, and from what a backup is restored into here. It calls nobody."""
    scratch: Manifest = {
        "namespaceSelector": {"matchExpressions": [{"key": SCRATCH_LABEL, "operator": "Exists"}]}
    }
    return [
        policy(
            NAME,
            NAMESPACE,
            args,
            {c.LABEL_NAME: NAME},
            ingress=[
                {"from": [*networks(args.peer_networks), scratch], "ports": ports(c.OBJECTS_PORT)},
            ],
        )
    ]


class Objects(pulumi.ComponentResource):
    """The S3 server. Nothing waits for it: a region whose backups cannot be taken goes on serving."""

    def __init__(
        self,
        args: RegionArgs,
        namespaces: Mapping[str, Sequence[pulumi.Resource]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("vitalops:region:Objects", NAME, None, opts)
        before = namespaces[NAMESPACE]
        around = [declare(manifest, parent=self, depends_on=before) for manifest in objects_objects(args)]
        declare(stateful_set(args), parent=self, depends_on=[*before, *around])
        self.register_outputs({})
