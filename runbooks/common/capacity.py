"""How many more pods a region can take: the nodes' requests, and the namespace's quota."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from runbooks.common.workloads import Workload
from vitalops.ports.cluster import Cluster, Json

_SUFFIXES: Final = {
    "n": Decimal(1).scaleb(-9),
    "u": Decimal(1).scaleb(-6),
    "m": Decimal(1).scaleb(-3),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}
_SCHEDULED: Final = ("cpu", "memory", "pods")


def quantity(text: str | int) -> Decimal:
    """A Kubernetes quantity in its base unit: cores, bytes, pieces."""
    written = str(text)
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if written.endswith(suffix):
            return Decimal(written.removesuffix(suffix)) * _SUFFIXES[suffix]
    return Decimal(written)


def requests(spec: Json) -> dict[str, Decimal]:
    """What one pod asks of a node. Init containers run before the others: the greater counts."""
    made = {"cpu": Decimal(0), "memory": Decimal(0), "pods": Decimal(1)}
    for name in ("cpu", "memory"):
        asked = [_asked(container, name) for container in spec.get("containers", [])]
        first = [_asked(container, name) for container in spec.get("initContainers", [])]
        made[name] = max(sum(asked, Decimal(0)), *first, Decimal(0))
    return made


def _asked(container: Json, name: str) -> Decimal:
    return quantity(container.get("resources", {}).get("requests", {}).get(name, 0))


@dataclass(frozen=True, slots=True)
class Room:
    """`pods` more fit; `limited` says what ends first."""

    pods: int
    limited: str


def room(cluster: Cluster, target: Workload, template: Json) -> Room:
    """How many more pods of a template the region takes, node by node, and the namespace's quotas."""
    asked = requests(template["spec"])
    nodes = cluster.request("GET", "/api/v1/nodes").get("items", [])
    running = [
        pod
        for pod in cluster.request("GET", "/api/v1/pods").get("items", [])
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    ]
    fitting, limits = 0, set[str]()
    for node in nodes:
        if not _takes_pods(node):
            continue
        count, what = _on_node(node, running, asked)
        fitting += count
        limits.add(what)
    found = Room(fitting, f"the nodes' {' and '.join(sorted(limits)) or 'readiness'}")
    for quota in cluster.request("GET", f"/api/v1/namespaces/{target.namespace}/resourcequotas").get(
        "items", []
    ):
        found = min(found, _in_quota(quota, asked), key=lambda each: each.pods)
    return found


def _takes_pods(node: Json) -> bool:
    ready = any(
        each["type"] == "Ready" and each["status"] == "True"
        for each in node.get("status", {}).get("conditions", [])
    )
    return ready and not node.get("spec", {}).get("unschedulable", False)


def _on_node(node: Json, running: list[dict[str, Any]], asked: dict[str, Decimal]) -> tuple[int, str]:
    name = node["metadata"]["name"]
    left = {key: quantity(node["status"]["allocatable"][key]) for key in _SCHEDULED}
    for pod in running:
        if pod.get("spec", {}).get("nodeName") == name:
            for key, value in requests(pod["spec"]).items():
                left[key] -= value
    counts = {key: int(left[key] // asked[key]) for key in _SCHEDULED if asked[key]}
    least = min(counts, key=lambda key: counts[key])
    return max(counts[least], 0), least


def _in_quota(quota: Json, asked: dict[str, Decimal]) -> Room:
    hard, used = quota.get("status", {}).get("hard", {}), quota.get("status", {}).get("used", {})
    least = Room(10**6, "nothing")
    names = {
        "requests.cpu": "cpu",
        "cpu": "cpu",
        "requests.memory": "memory",
        "memory": "memory",
        "pods": "pods",
    }
    for key, limit in hard.items():
        wanted = asked.get(names.get(key, ""), Decimal(0))
        if not wanted:
            continue
        pods = max(int((quantity(limit) - quantity(used.get(key, 0))) // wanted), 0)
        least = min(least, Room(pods, f"the quota of {key}"), key=lambda each: each.pods)
    return least
