"""A cluster in memory whose Deployments roll out as soon as somebody asks how they stand."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from vitalops import conventions as c
from vitalops.ports.cluster import FakeCluster, Json

REVISION = "deployment.kubernetes.io/revision"


@dataclass(slots=True)
class DeployingCluster(FakeCluster):
    """`unready` are images whose pods never become ready; `deployed` counts templates that were put."""

    unready: set[str] = field(default_factory=set[str])
    deployed: list[str] = field(default_factory=list[str])
    logs: dict[str, str] = field(default_factory=dict[str, str])

    def deploy(self, namespace: str, name: str, image: str, config: str = "c1", replicas: int = 1) -> None:
        """As `up` does, for tests to begin with."""
        labels = {c.LABEL_NAME: name}
        annotations = {c.ANNOTATION_CONFIG_HASH: config}
        container = {
            "name": name,
            "image": image,
            "env": [],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        }
        template = {
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": {"containers": [container]},
        }
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        made = copy.deepcopy(self.objects.get(path)) or {
            "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "annotations": {}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}},
        }
        made["spec"]["template"] = template
        self.objects[path] = made
        self._roll(path)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
        timeout: float = 30.0,
    ) -> Json:
        answer = FakeCluster.request(self, method, path, query=query, body=body)
        if "/deployments/" in path and method in ("PUT", "PATCH"):
            self._roll(path)
        if path.endswith("/pods") and method == "POST":
            name = (body or {})["metadata"]["name"]
            self.objects[f"{path}/{name}"] = {**(body or {}), "status": {"phase": "Succeeded"}}
            self.objects[f"{path}/{name}/log"] = {"text": self.logs.get(name, "")}
        return copy.deepcopy(answer)

    def _roll(self, path: str) -> None:
        owner = self.objects[path]
        namespace, name = path.split("/")[5], path.rpartition("/")[2]
        template = owner["spec"]["template"]
        sets = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
        wanted = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
        mine = {k: v for k, v in self.objects.items() if k.startswith(f"{sets}/{name}-")}
        newest = max((int(v["metadata"]["annotations"][REVISION]) for v in mine.values()), default=0)
        key = f"{sets}/{name}-{wanted}"
        current = owner["metadata"].setdefault("annotations", {}).get(REVISION)
        number = newest + 1
        if key in mine and mine[key]["metadata"]["annotations"][REVISION] == current:
            number = int(current)
        elif key not in mine or mine[key]["metadata"]["annotations"][REVISION] != current:
            self.deployed.append(template["spec"]["containers"][0]["image"])
        labelled = copy.deepcopy(template)
        labelled["metadata"]["labels"]["pod-template-hash"] = wanted
        replicas = int(owner["spec"].get("replicas", 1))
        ready = template["spec"]["containers"][0]["image"] not in self.unready
        if ready:
            for value in mine.values():
                value["status"] = {"readyReplicas": 0}
        self.objects[key] = {
            "metadata": {
                "name": f"{name}-{wanted}",
                "annotations": {REVISION: str(number)},
                "labels": {"pod-template-hash": wanted},
                "ownerReferences": [{"uid": owner["metadata"]["uid"]}],
            },
            "spec": {"template": labelled},
            "status": {"readyReplicas": replicas if ready else 0},
        }
        owner["metadata"]["annotations"][REVISION] = str(number)
        owner["status"] = {
            "replicas": replicas if ready else replicas + 1,
            "updatedReplicas": replicas if ready else 1,
            "availableReplicas": replicas,
        }
        self._pods(namespace, name, wanted, replicas, template, ready=ready)

    def _pods(
        self, namespace: str, name: str, wanted: str, replicas: int, template: Json, *, ready: bool
    ) -> None:
        pods = f"/api/v1/namespaces/{namespace}/pods"
        if ready:
            for key in [key for key in self.objects if key.startswith(f"{pods}/{name}-")]:
                del self.objects[key]
        for number in range(replicas):
            pod = f"{name}-{wanted}-{number}"
            self.objects[f"{pods}/{pod}"] = {
                "metadata": {"name": pod, "labels": {c.LABEL_NAME: name}},
                "spec": copy.deepcopy(template["spec"]),
                "status": {
                    "phase": "Running",
                    "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                },
            }
