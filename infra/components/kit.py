"""The pieces that all workloads share: metadata, security contexts, probes, spread."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from vitalops import conventions as c
from vitalops.model.resources import Resources

Manifest = dict[str, Any]

PART_OF: Final = "vitalops"
CLUSTER_DOMAIN: Final = "svc.cluster.local"
DNS_LABELS: Final = {"k8s-app": "kube-dns"}

TMP_VOLUME: Final[Manifest] = {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}
TMP_MOUNT: Final[Manifest] = {"name": "tmp", "mountPath": "/tmp"}


def host(service: str, namespace: str) -> str:
    """A Service's name as every namespace's resolver knows it."""
    return f"{service}.{namespace}.{CLUSTER_DOMAIN}"


def host_and_port(address: str, port: int) -> str:
    """`host:port`; an address with a port of its own is taken as it is."""
    return address if ":" in address else f"{address}:{port}"


def metadata(
    name: str,
    namespace: str | None,
    stack: str,
    region: str,
    *,
    component: str = "",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Name, namespace and the labels by which an object's stack and component are found again."""
    made: Manifest = {
        "name": name,
        "labels": {
            c.LABEL_NAME: component or name,
            c.LABEL_PART_OF: PART_OF,
            c.LABEL_MANAGED_BY: "vitalops",
            c.LABEL_REGION: region,
            c.LABEL_STACK: stack,
            **(labels or {}),
        },
    }
    if namespace:
        made["namespace"] = namespace
    if annotations:
        made["annotations"] = dict(annotations)
    return made


def pod_security(user: int) -> Manifest:
    """Pod-level half of Pod Security `restricted`; `user` is also the group that owns the volumes."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """Container-level half of Pod Security `restricted`, and a root file system nobody writes to."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def resources(wanted: Resources) -> Manifest:
    """Request and memory limit. No CPU limit: a busy pod may use what an idle machine has."""
    return {
        "requests": {"cpu": wanted.cpu, "memory": wanted.memory},
        "limits": {"memory": wanted.memory},
    }


def http_probe(path: str, port: str | int, *, period: int, failures: int, timeout: int = 3) -> Manifest:
    """Seconds for `period` and `timeout`; `failures` in a row count."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def spread(component: str) -> list[Manifest]:
    """Replicas on different nodes and zones where there are several; one node is no reason not to run."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {c.LABEL_NAME: component}},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def disruption_budget(name: str, namespace: str, stack: str, region: str) -> Manifest:
    """One pod at a time may be evicted. Only for workloads of two replicas or more: a budget around a single replica
    would either allow everything or block every drain of its node."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(name, namespace, stack, region),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {c.LABEL_NAME: name}}},
    }


def secret(
    name: str, namespace: str, stack: str, region: str, values: Mapping[str, str], component: str
) -> Manifest:
    """An opaque Secret; the values are given in clear and encoded here."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(name, namespace, stack, region, component=component),
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def config_map(
    name: str, namespace: str, stack: str, region: str, values: Mapping[str, str], component: str
) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(name, namespace, stack, region, component=component),
        "data": dict(values),
    }


def service_account(
    name: str, namespace: str, stack: str, region: str, *, automount: bool = False
) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(name, namespace, stack, region),
        "automountServiceAccountToken": automount,
    }


def secret_environment(variable: str, secret_name: str, key: str) -> Manifest:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": key}}}


def field_environment(variable: str, path: str) -> Manifest:
    return {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}}
