"""The few requests that a guard makes to its own region's API server: ConfigMaps, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from pathlib import Path
from typing import Any, Final, Protocol

from vitalops.errors import RemoteError

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS: Final = 2.0

Json = dict[str, Any]


class Conflict(RemoteError):
    """Somebody else has changed the object meanwhile."""


class ConfigMaps(Protocol):
    """ConfigMaps of the guard's namespace. Methods raise RemoteError where the API server does not answer."""

    def get(self, name: str) -> Json | None: ...

    def create(self, body: Json) -> Json: ...

    def patch(self, name: str, body: Json) -> Json:
        """Merge patch. Raises Conflict where its metadata.resourceVersion is not that of the object."""
        ...


class InCluster:
    """`ConfigMaps` with the pod's service account."""

    def __init__(self, namespace: str) -> None:
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._host = os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        self._port = int(os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
        self._context = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))

    def get(self, name: str) -> Json | None:
        return self._request("GET", f"{self._path}/{name}", None, "application/json")

    def create(self, body: Json) -> Json:
        return self._request("POST", self._path, body, "application/json") or {}

    def patch(self, name: str, body: Json) -> Json:
        made = self._request("PATCH", f"{self._path}/{name}", body, "application/merge-patch+json")
        if made is None:
            raise RemoteError(f"ConfigMap {name} is not there")
        return made

    def _request(self, method: str, path: str, body: Json | None, content_type: str) -> Json | None:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=_SECONDS, context=self._context
        )
        try:
            # Read each time: the kubelet renews it.
            token = (_ACCOUNT / "token").read_text().strip()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise RemoteError(f"the API server does not answer: {type(error).__name__}: {error}") from error
        finally:
            connection.close()
        if response.status == http.client.NOT_FOUND and method == "GET":
            return None
        if response.status == http.client.CONFLICT:
            raise Conflict(f"{method} {path}: changed by somebody else meanwhile")
        if response.status >= http.client.BAD_REQUEST:
            raise RemoteError(f"the API server answered {response.status} to {method} {path}")
        return dict(json.loads(text))
