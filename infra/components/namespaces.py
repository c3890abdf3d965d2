"""Namespaces with Pod Security, quotas and default limits.

Pod Security is `restricted` everywhere but in the namespace of what must read the node's own files.
"""

from __future__ import annotations

import math

import pulumi

from infra.components.archiving import SIDECAR
from infra.components.args import RegionArgs
from infra.components.declare import declare
from infra.components.kit import Manifest, metadata
from infra.components.telemetry.sizes import demands as telemetry_demands
from vitalops import conventions as c

# A rolling update runs old and new side by side, and Jobs run next to them: room for two of everything and some.
_HEADROOM = 2
_SPARE_PODS = 10


def namespace(name: str, args: RegionArgs) -> Manifest:
    made: Manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata(name, None, args.stack, args.region),
    }
    level = "privileged" if name == c.NAMESPACE_AGENTS else "restricted"
    for mode in ("enforce", "audit", "warn"):
        made["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"] = level
    return made


def quota(name: str, args: RegionArgs) -> Manifest:
    """Sums of what is declared in the namespace, doubled for rolling updates, plus room for Jobs."""
    demands = {
        c.NAMESPACE_DATA: [
            (args.platform.database.resources, args.platform.database.members),
            (SIDECAR, args.platform.database.members),
        ],
        c.NAMESPACE_MEDIA: [(args.platform.media.resources, args.platform.media.replicas)],
        c.NAMESPACE_GATEWAY: [(args.platform.gateway.resources, args.platform.gateway.replicas)],
        c.NAMESPACE_SERVICES: [(service.resources, service.replicas.maximum) for service in args.services],
        c.NAMESPACE_TELEMETRY: telemetry_demands(c.NAMESPACE_TELEMETRY, args),
        c.NAMESPACE_AGENTS: telemetry_demands(c.NAMESPACE_AGENTS, args),
        c.NAMESPACE_BACKUPS: [(args.platform.backups.resources, 1)],
    }[name]
    pods = sum(count for _, count in demands)
    cpu = sum(cores(resources.cpu) * count for resources, count in demands)
    memory = sum(mebibytes(resources.memory) * count for resources, count in demands)
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata("quota", name, args.stack, args.region),
        "spec": {
            "hard": {
                "pods": str(pods * _HEADROOM + _SPARE_PODS),
                "requests.cpu": f"{math.ceil(cpu * _HEADROOM) + 1}",
                "requests.memory": f"{memory * _HEADROOM + 1024}Mi",
                "limits.memory": f"{memory * _HEADROOM + 2048}Mi",
                "services.loadbalancers": "0",
            }
        },
    }


def limits(name: str, args: RegionArgs) -> Manifest:
    """What a container gets that asks for nothing."""
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": metadata("defaults", name, args.stack, args.region),
        "spec": {
            "limits": [
                {
                    "type": "Container",
                    "default": {"memory": "256Mi"},
                    "defaultRequest": {"cpu": "25m", "memory": "64Mi"},
                }
            ]
        },
    }


def cores(quantity: str) -> float:
    """Cores of a Kubernetes CPU quantity: "250m" is 0.25."""
    return int(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def mebibytes(quantity: str) -> int:
    """Whole mebibytes of a Kubernetes memory quantity with a binary suffix."""
    factor = {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024, "Ti": 1024 * 1024}[quantity[-2:]]
    return math.ceil(int(quantity[:-2]) * factor)


class Namespaces(pulumi.ComponentResource):
    """The platform's namespaces of one region; `ready` is what everything inside them depends on."""

    def __init__(self, args: RegionArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("vitalops:region:Namespaces", "namespaces", None, opts)
        self.ready: dict[str, list[pulumi.Resource]] = {}
        for name in c.NAMESPACES:
            made = declare(namespace(name, args), parent=self)
            inside = [declare(make(name, args), parent=self, depends_on=[made]) for make in (quota, limits)]
            self.ready[name] = [made, *inside]
        self.register_outputs({})
