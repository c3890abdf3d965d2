"""Deployments of a region: their pods, their history, and whether a rollout is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from vitalops import conventions as c
from vitalops.errors import UsageError
from vitalops.model.platform import Platform
from vitalops.model.selection import pair_of
from vitalops.ports.cluster import ApiError, Cluster, Json
from vitalops.suggest import closest, shown

REVISION: Final = "deployment.kubernetes.io/revision"
HASH: Final = "pod-template-hash"


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment by name."""

    namespace: str
    name: str

    @property
    def path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}"

    @property
    def autoscaler(self) -> str:
        return f"/apis/autoscaling/v2/namespaces/{self.namespace}/horizontalpodautoscalers/{self.name}"


@dataclass(frozen=True, slots=True)
class Revision:
    """One ReplicaSet of a Deployment: what ran, or runs, as its revision `number`."""

    number: int
    hash: str
    """`pod-template-hash`: part of its pods' names."""
    image: str
    config: str
    ready: int
    created: str
    template: Json

    @property
    def text(self) -> str:
        return f"revision {self.number} (image {self.image.rpartition('/')[2]}, settings {self.config[:8] or '-'})"


def workload(platform: Platform, region: str, name: str) -> Workload:
    """A service or the gateway of a region. Raises UsageError where the region has none of that name."""
    pair = require_region(platform, region)
    if name == c.GATEWAY_SERVICE:
        return Workload(c.NAMESPACE_GATEWAY, name)
    service = platform.services.get(name)
    if service is None:
        known = (*platform.services, c.GATEWAY_SERVICE)
        near = closest(name, known)
        raise UsageError(
            f"there is no service {shown(name)}",
            hint=f"did you mean {near!r}?" if near else f"known: {', '.join(known)}",
        )
    if service.pairs is not None and pair not in service.pairs:
        raise UsageError(
            f"service {name} does not run in {region}", hint=f"it runs in {', '.join(service.pairs)}"
        )
    return Workload(c.NAMESPACE_SERVICES, name)


def require_region(platform: Platform, region: str) -> str:
    """The region's pair. Raises UsageError for a name that is no region."""
    found = pair_of(platform, region) if region in platform.regions else None
    if found is None:
        near = closest(region, platform.regions)
        raise UsageError(
            f"there is no region {shown(region)}",
            hint=f"did you mean {near!r}?" if near else f"known: {', '.join(platform.regions)}",
        )
    return found.name


def deployment(cluster: Cluster, target: Workload) -> Json:
    """Raises UsageError where it was never brought up."""
    try:
        return cluster.request("GET", target.path)
    except ApiError as error:
        if error.status != 404:
            raise
        raise UsageError(
            f"{target.name} does not run in {cluster.name}", hint=f"bring it up: vitalops up {cluster.name}"
        ) from None


def revisions(cluster: Cluster, target: Workload, owner: Json) -> tuple[Revision, ...]:
    """The Deployment's ReplicaSets, newest first."""
    found = cluster.request("GET", f"/apis/apps/v1/namespaces/{target.namespace}/replicasets")
    uid = owner["metadata"]["uid"]
    owned = [
        item
        for item in found.get("items", [])
        if any(reference.get("uid") == uid for reference in item["metadata"].get("ownerReferences", []))
    ]
    return tuple(sorted(map(_revision, owned), key=lambda each: each.number, reverse=True))


def current_revision(owner: Json) -> int:
    return int(owner["metadata"].get("annotations", {}).get(REVISION, 0))


def _revision(item: Json) -> Revision:
    metadata, template = item["metadata"], item["spec"]["template"]
    return Revision(
        number=int(metadata.get("annotations", {}).get(REVISION, 0)),
        hash=str(metadata.get("labels", {}).get(HASH, "")),
        image=str(template["spec"]["containers"][0]["image"]),
        config=str(template["metadata"].get("annotations", {}).get(c.ANNOTATION_CONFIG_HASH, "")),
        ready=int(item.get("status", {}).get("readyReplicas", 0)),
        created=str(metadata.get("creationTimestamp", "")),
        template=template,
    )


def rollout_waits_for(owner: Json) -> str:
    """Why a rollout is not over, as `kubectl rollout status` tells it; empty where it is."""
    spec, status = owner["spec"], owner.get("status", {})
    if int(status.get("observedGeneration", 0)) < int(owner["metadata"].get("generation", 0)):
        return "the change has not been seen yet"
    wanted = int(spec.get("replicas", 1))
    updated = int(status.get("updatedReplicas", 0))
    if updated < wanted:
        return f"{updated} of {wanted} pods are made"
    if int(status.get("replicas", 0)) > updated:
        return f"{int(status['replicas']) - updated} old pods have not ended"
    available = int(status.get("availableReplicas", 0))
    return f"{available} of {wanted} pods are ready" if available < wanted else ""


def pods(cluster: Cluster, target: Workload) -> list[dict[str, Any]]:
    """The Deployment's pods, ended ones left out."""
    found = cluster.request(
        "GET",
        f"/api/v1/namespaces/{target.namespace}/pods",
        query={"labelSelector": f"{c.LABEL_NAME}={target.name}"},
    )
    return [
        pod
        for pod in found.get("items", [])
        if pod["metadata"].get("labels", {}).get(c.LABEL_NAME) == target.name
        and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        and not pod["metadata"].get("deletionTimestamp")
    ]


def is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def a_ready_pod(cluster: Cluster, target: Workload) -> str:
    """Name of one pod that is ready. Raises UsageError where none is."""
    for pod in pods(cluster, target):
        if is_ready(pod):
            return str(pod["metadata"]["name"])
    raise UsageError(f"no pod of {target.name} is ready in {cluster.name}", hint="see: vitalops status")
