"""Kubernetes objects as plain data: their identity, their place in the API, and how they compare."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

Manifest = dict[str, Any]

# kind -> (plural, namespaced). The kinds that the programs declare; an unknown kind is an error, not a guess.
KINDS: Final[dict[str, tuple[str, bool]]] = {
    "Namespace": ("namespaces", False),
    "ClusterRole": ("clusterroles", False),
    "ClusterRoleBinding": ("clusterrolebindings", False),
    "ServiceAccount": ("serviceaccounts", True),
    "Role": ("roles", True),
    "RoleBinding": ("rolebindings", True),
    "ResourceQuota": ("resourcequotas", True),
    "LimitRange": ("limitranges", True),
    "NetworkPolicy": ("networkpolicies", True),
    "ConfigMap": ("configmaps", True),
    "Secret": ("secrets", True),
    "Service": ("services", True),
    "DaemonSet": ("daemonsets", True),
    "Deployment": ("deployments", True),
    "StatefulSet": ("statefulsets", True),
    "Job": ("jobs", True),
    "PodDisruptionBudget": ("poddisruptionbudgets", True),
    "HorizontalPodAutoscaler": ("horizontalpodautoscalers", True),
    "Lease": ("leases", True),
}


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """One object of one cluster. `namespace` is empty for objects of the whole cluster."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"

    @property
    def collection(self) -> str:
        """Path of the list that the object is in."""
        return collection_path(self.api_version, self.kind, self.namespace)

    @property
    def path(self) -> str:
        return f"{self.collection}/{self.name}"


def collection_path(api_version: str, kind: str, namespace: str = "") -> str:
    """Path of a kind's objects: of one namespace, or of all where `namespace` is empty."""
    plural, namespaced = KINDS[kind]
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespaced and namespace else f"{root}/{plural}"


def key_of(manifest: Manifest) -> ObjectKey:
    metadata = manifest["metadata"]
    return ObjectKey(
        str(manifest["apiVersion"]),
        str(manifest["kind"]),
        str(metadata.get("namespace", "")),
        str(metadata["name"]),
    )


def fingerprint(value: Any) -> str:
    """16 hexadecimal digits over the value's canonical JSON."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


_BOOKKEEPING = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink")


def comparable(live: Manifest) -> Manifest:
    """A live object without what the cluster writes into it by itself."""
    shown = {key: value for key, value in live.items() if key != "status"}
    metadata = {key: value for key, value in live.get("metadata", {}).items() if key not in _BOOKKEEPING}
    annotations = {
        key: value
        for key, value in metadata.get("annotations", {}).items()
        if key != "deployment.kubernetes.io/revision"
    }
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    shown["metadata"] = metadata
    return shown
