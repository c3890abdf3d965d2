"""What a bare cluster needs beside its processes: their permissions, the DNS service, the storage class. Pure."""

from __future__ import annotations

from typing import Any

from infra.local.regions.layout import Layout
from infra.local.regions.programs import PROVISIONER_NAME
from vitalops.conventions import LABEL_MANAGED_BY, STORAGE_CLASS_LOCAL

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
LABELS = {LABEL_MANAGED_BY: "vitalops"}


def _metadata(name: str, namespace: str | None = None, **more: Any) -> Object:
    return {"name": name, **({"namespace": namespace} if namespace else {}), "labels": LABELS, **more}


def _role(name: str, rules: list[Object]) -> Object:
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": _metadata(name), "rules": rules}


def _binding(name: str, role: str, user: str) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": _metadata(name),
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }


def _rule(group: str, resources: list[str], verbs: list[str]) -> Object:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def cluster_objects(region: Layout) -> list[Object]:
    """In the order in which they are applied: permissions first, since processes wait for them."""
    read = ["get", "list", "watch"]
    return [
        _binding("vitalops:proxy", "system:node-proxier", "system:kube-proxy"),
        _binding("vitalops:apiserver-kubelet", "system:kubelet-api-admin", "vitalops:apiserver-kubelet"),
        _role(
            "vitalops:coredns",
            [
                _rule("", ["services", "namespaces"], ["list", "watch"]),
                _rule("discovery.k8s.io", ["endpointslices"], ["list", "watch"]),
            ],
        ),
        _binding("vitalops:coredns", "vitalops:coredns", "vitalops:coredns"),
        _role(
            "vitalops:provisioner",
            [
                _rule("", ["persistentvolumes"], [*read, "create", "delete", "update", "patch"]),
                _rule("", ["persistentvolumeclaims"], [*read, "update"]),
                _rule("", ["nodes"], read),
                _rule("storage.k8s.io", ["storageclasses"], read),
                _rule("", ["events"], ["create", "update", "patch"]),
            ],
        ),
        _binding("vitalops:provisioner", "vitalops:provisioner", "vitalops:provisioner"),
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": _metadata(
                STORAGE_CLASS_LOCAL, annotations={"storageclass.kubernetes.io/is-default-class": "true"}
            ),
            "provisioner": PROVISIONER_NAME,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _metadata("kube-dns", "kube-system"),
            "spec": {
                "clusterIP": region.addresses.dns_service,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
                ],
            },
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": _metadata("kube-dns", "kube-system")
            | {"labels": {**LABELS, "kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": [region.dns_address], "conditions": {"ready": True}, "nodeName": region.name}
            ],
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
            ],
        },
    ]


def resource_path(manifest: Object) -> str:
    """Where the API server keeps the object."""
    plural = {
        "ClusterRole": "clusterroles",
        "ClusterRoleBinding": "clusterrolebindings",
        "StorageClass": "storageclasses",
        "Service": "services",
        "EndpointSlice": "endpointslices",
    }[manifest["kind"]]
    version = manifest["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = manifest["metadata"].get("namespace")
    place = f"{root}/namespaces/{namespace}" if namespace else root
    return f"{place}/{plural}/{manifest['metadata']['name']}"
