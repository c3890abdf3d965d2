"""In-memory fakes of what a guard acts on. Not part of the image."""

from __future__ import annotations

import copy

from vitalops.errors import RemoteError
from vitalops.guard.kube import Conflict, Json
from vitalops.ports.cluster import merged


class FakeConfigMaps:
    """The in-memory fake, with the API server's rule on versions. Where it is `lost`, nothing answers."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.lost = False
        self._version = 0

    def get(self, name: str) -> Json | None:
        self._answer()
        found = self.objects.get(name)
        return copy.deepcopy(found) if found is not None else None

    def create(self, body: Json) -> Json:
        self._answer()
        name = str(body["metadata"]["name"])
        if name in self.objects:
            raise Conflict(f"{name} is there already")
        return self._put(name, copy.deepcopy(body))

    def patch(self, name: str, body: Json) -> Json:
        self._answer()
        kept = self.objects[name]
        version = body.get("metadata", {}).get("resourceVersion")
        if version is not None and version != kept["metadata"]["resourceVersion"]:
            raise Conflict(f"{name} has changed")
        return self._put(name, merged(kept, copy.deepcopy(body)))

    def _put(self, name: str, body: Json) -> Json:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self.objects[name] = body
        return body

    def _answer(self) -> None:
        if self.lost:
            raise RemoteError("the API server does not answer: lost")
