"""What the telemetry's workloads have in common: a single replica with its own volume, and its Service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infra.components.args import RegionArgs
from infra.components.kit import (
    TMP_VOLUME,
    Manifest,
    container_security,
    metadata,
    pod_security,
    resources,
)
from infra.components.telemetry.sizes import namespace_of, size_of
from vitalops import conventions as c

DATA_VOLUME = "data"


def labels(name: str, args: RegionArgs) -> dict[str, str]:
    """Of the pods; Prometheus finds them by these, and by a container port called `metrics`."""
    return {c.LABEL_NAME: name, c.LABEL_PART_OF: "vitalops", c.LABEL_REGION: args.region}


def service(name: str, args: RegionArgs, ports: Mapping[str, int]) -> Manifest:
    """A ClusterIP Service; `ports` are container ports by their names."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(
            name,
            namespace_of(name),
            args.stack,
            args.region,
            annotations={"pulumi.com/skipAwait": "true"},
        ),
        "spec": {
            "type": "ClusterIP",
            "selector": {c.LABEL_NAME: name},
            "ports": [
                {"name": key, "port": port, "targetPort": key, "protocol": "TCP"}
                for key, port in ports.items()
            ],
        },
    }


def container(name: str, args: RegionArgs, image: str, **more: object) -> Manifest:
    """A container called after its program, sized by the table, without any privilege."""
    return {
        "name": name,
        "image": args.images[image],
        "imagePullPolicy": args.pull_policy,
        "resources": resources(size_of(name, args)),
        "securityContext": container_security(),
        **more,
    }


def stateful_set(
    name: str,
    args: RegionArgs,
    made: Manifest,
    *,
    storage: str,
    volumes: Sequence[Manifest],
    user: int = c.UID_TELEMETRY,
    grace_seconds: int = 30,
    token: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """One pod around the container `made`, with a volume claim called `data` that outlives it."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(name, namespace_of(name), args.stack, args.region),
        "spec": {
            "serviceName": name,
            "replicas": 1,
            # Otherwise a pod that never becomes ready is not replaced by one that would.
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate"},
            "selector": {"matchLabels": {c.LABEL_NAME: name}},
            "template": {
                "metadata": {"labels": labels(name, args), "annotations": dict(annotations or {})},
                "spec": {
                    "serviceAccountName": name,
                    "automountServiceAccountToken": token,
                    "enableServiceLinks": False,
                    "securityContext": pod_security(user),
                    "terminationGracePeriodSeconds": grace_seconds,
                    "containers": [made],
                    "volumes": [TMP_VOLUME, *volumes],
                },
            },
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": DATA_VOLUME},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "storageClassName": args.storage_class,
                        "resources": {"requests": {"storage": storage}},
                    },
                }
            ],
        },
    }
