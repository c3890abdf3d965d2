"""A Kubernetes API in memory: what the engines ask of one, with readiness that tests decide about."""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from infra.engines.objects import KINDS
from infra.kube import ApiError

Json = dict[str, Any]
_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+/[^/]+))(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)"
    r"(?:/(?P<name>[^/]+))?$"
)
_PLURALS = {plural: kind for kind, (plural, _) in KINDS.items()}
Place = tuple[str, str, str]


def ready_status(item: Json) -> Json:
    """A status that says ready, for every kind that has one."""
    generation, replicas = item["metadata"]["generation"], item.get("spec", {}).get("replicas", 1)
    match item["kind"]:
        case "Deployment":
            return {
                "observedGeneration": generation,
                "updatedReplicas": replicas,
                "replicas": replicas,
                "availableReplicas": replicas,
            }
        case "StatefulSet":
            return {"observedGeneration": generation, "readyReplicas": replicas, "updatedReplicas": replicas}
        case "Job":
            return {"conditions": [{"type": "Complete", "status": "True"}]}
        case _:
            return {}


class FakeKubeApi:
    """`status` makes an object's status, each time that it is read; `log` holds (verb, kind, name) in order."""

    def __init__(self, name: str, status: Callable[[Json], Json] = ready_status) -> None:
        self.name = name
        self.objects: dict[Place, Json] = {}
        self.log: list[tuple[str, str, str]] = []
        self.status = status
        self._version = 0
        self._lock = threading.RLock()

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
        if path == "/version":
            return {"gitVersion": "v1.37.2"}
        with self._lock:
            return copy.deepcopy(self._answer(method, path, dict(query or {}), copy.deepcopy(body)))

    def text(self, path: str, *, query: Mapping[str, str] | None = None, timeout: float = 10.0) -> str:
        return "the last line of the log\n"

    def keys(self, kind: str) -> list[str]:
        return sorted(name for found, _, name in self.objects if found == kind)

    def _answer(self, method: str, path: str, query: dict[str, str], body: Json | None) -> Json:
        found = _PATH.match(path)
        assert found, path
        kind = _PLURALS.get(found["plural"], found["plural"])
        if found["plural"] == "namespaces" or (kind == "Namespace" and found["namespace"]):
            kind = "Namespace"
        namespace = found["namespace"] or ""
        if method == "POST":
            assert body is not None
            return self._create((kind, namespace, body["metadata"]["name"]), body)
        if found["name"] is None:
            return self._list(kind, namespace, query)
        return self._one(method, (kind, namespace, found["name"]), query, body)

    def _create(self, place: Place, body: Json) -> Json:
        if place in self.objects:
            raise ApiError(409, "AlreadyExists", "exists")
        return self._store(place, body)

    def _list(self, kind: str, namespace: str, query: dict[str, str]) -> Json:
        label, _, wanted = query.get("labelSelector", "").partition("=")
        items = [
            self._read(place)
            for place in sorted(self.objects)
            if place[0] == kind
            and (not namespace or place[1] == namespace)
            and (not label or self.objects[place]["metadata"].get("labels", {}).get(label) == wanted)
        ]
        return {"items": items}

    def _one(self, method: str, place: Place, query: dict[str, str], body: Json | None) -> Json:
        self.log.append((method, place[0], place[2]))
        match method:
            case "GET":
                return self._read(place)
            case "DELETE":
                self._read(place)
                del self.objects[place]
                return {}
            case "PUT":
                assert body is not None
                if (
                    body["metadata"].get("resourceVersion")
                    != self._read(place)["metadata"]["resourceVersion"]
                ):
                    raise ApiError(409, "Conflict", "changed meanwhile")
                return self._store(place, body)
            case "PATCH":
                assert body is not None
                if query.get("dryRun") == "All":
                    return {**self._read(place), **body}
                if place[1] and ("Namespace", "", place[1]) not in self.objects:
                    raise ApiError(404, "NotFound", f"namespaces {place[1]} not found")
                if "fieldManager" not in query:
                    body = {**self._read(place), "spec": {**self._read(place)["spec"], **body["spec"]}}
                return self._store(place, body)
            case _:
                raise AssertionError(method)

    def _store(self, place: Place, body: Json) -> Json:
        old = self.objects.get(place)
        same = old is not None and _bare(old) == _bare(body)
        if not same:
            self._version += 1
        metadata = {
            **body["metadata"],
            "resourceVersion": old["metadata"]["resourceVersion"] if same and old else str(self._version),
            "generation": 1 if old is None else old["metadata"]["generation"] + (not same),
        }
        self.objects[place] = {**body, "metadata": metadata}
        return self._read(place)

    def _read(self, place: Place) -> Json:
        if place not in self.objects:
            raise ApiError(404, "NotFound", f"{place} not found")
        item = self.objects[place]
        return {**item, "status": self.status(item)}


def _bare(item: Json) -> Json:
    metadata = {
        key: value for key, value in item["metadata"].items() if key not in ("resourceVersion", "generation")
    }
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}
