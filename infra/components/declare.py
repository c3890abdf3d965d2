"""From a Kubernetes object as plain data to its Pulumi resource.

The objects are built by pure functions (easy to read, to test and to render); this is the only place where they become
Pulumi resources, so that name, parent, order and secrecy are treated alike for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

Manifest = dict[str, Any]

_CLASSES: dict[str, type[pulumi.CustomResource]] = {
    "Namespace": k8s.core.v1.Namespace,
    "ClusterRole": k8s.rbac.v1.ClusterRole,
    "ClusterRoleBinding": k8s.rbac.v1.ClusterRoleBinding,
    "ServiceAccount": k8s.core.v1.ServiceAccount,
    "Role": k8s.rbac.v1.Role,
    "RoleBinding": k8s.rbac.v1.RoleBinding,
    "ResourceQuota": k8s.core.v1.ResourceQuota,
    "LimitRange": k8s.core.v1.LimitRange,
    "NetworkPolicy": k8s.networking.v1.NetworkPolicy,
    "ConfigMap": k8s.core.v1.ConfigMap,
    "Secret": k8s.core.v1.Secret,
    "Service": k8s.core.v1.Service,
    "DaemonSet": k8s.apps.v1.DaemonSet,
    "Deployment": k8s.apps.v1.Deployment,
    "StatefulSet": k8s.apps.v1.StatefulSet,
    "Job": k8s.batch.v1.Job,
    "PodDisruptionBudget": k8s.policy.v1.PodDisruptionBudget,
    "HorizontalPodAutoscaler": k8s.autoscaling.v2.HorizontalPodAutoscaler,
}

# Top-level fields whose Python argument is spelt otherwise.
_ARGUMENTS = {"roleRef": "role_ref", "automountServiceAccountToken": "automount_service_account_token"}


def declare(
    manifest: Manifest,
    *,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource] = (),
    logical_name: str = "",
) -> pulumi.CustomResource:
    """Register one object under `parent`, whose provider it inherits.

    The logical name is `namespace/name` unless given: an object whose own name carries a hash of its content keeps one
    logical name, so that a change replaces it. Data of Secrets is marked secret.
    """
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace")
    name = logical_name or (f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"]))
    arguments = {
        _ARGUMENTS.get(key, key): value
        for key, value in manifest.items()
        if key not in ("apiVersion", "kind")
    }
    if manifest["kind"] == "Secret":
        arguments["data"] = pulumi.Output.secret(arguments["data"])
    options = pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on))
    return _CLASSES[manifest["kind"]](name, opts=options, **arguments)
