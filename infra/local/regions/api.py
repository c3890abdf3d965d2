"""The little that starting a region asks of its API server, over the standard library: no client to wait for."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from infra.local.regions.layout import Layout
from infra.local.regions.network import socket_inside
from infra.local.regions.objects import resource_path
from vitalops.conventions import FIELD_MANAGER
from vitalops.errors import RemoteError

TIMEOUT_SECONDS = 5.0


class Api:
    """Requests as the region's administrator."""

    def __init__(self, region: Layout) -> None:
        self._region = region
        self._context = ssl.create_default_context(cafile=str(region.pki / "ca.crt"))
        self._context.load_cert_chain(region.pki / "admin.crt", region.pki / "admin.key")

    def _request(self, method: str, path: str, body: Any = None, kind: str = "") -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(
            self._region.addresses.node, 6443, timeout=TIMEOUT_SECONDS, context=self._context
        )
        try:
            headers = {"Content-Type": kind} if kind else {}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def answers(self, path: str) -> bool:
        """Whether a path answers 200 right now."""
        try:
            return self._request("GET", path)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path: str) -> Any:
        """The object at a path; None where there is none or the server cannot be reached."""
        try:
            status, body = self._request("GET", path)
        except (OSError, http.client.HTTPException):
            return None
        return json.loads(body) if status == 200 else None

    def apply(self, manifest: dict[str, Any]) -> None:
        """Server-side apply. Raises RemoteError with the server's reason."""
        path = resource_path(manifest)
        try:
            status, body = self._request(
                "PATCH",
                f"{path}?fieldManager={FIELD_MANAGER}&force=true",
                manifest,
                "application/apply-patch+yaml",
            )
        except (OSError, http.client.HTTPException) as error:
            raise RemoteError(f"{self._region.name}: the API server did not take {path}: {error}") from error
        if status not in (200, 201):
            reason = json.loads(body).get("message", "") if body.startswith(b"{") else body[:200].decode()
            raise RemoteError(f"{self._region.name}: the API server refused {path}: {reason}")


def answers_inside(namespace: Path, port: int, path: str, *, tls: bool = False) -> bool:
    """Whether a health endpoint on a namespace's loopback answers 200 right now.

    Its TLS certificate is not verified: the process makes it at start, and the loopback is the region's own.
    """
    try:
        with socket_inside(namespace) as raw:
            raw.settimeout(2.0)
            raw.connect(("127.0.0.1", port))
            connection = http.client.HTTPConnection("127.0.0.1", port)
            if tls:
                context = ssl.create_default_context()
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                connection.sock = context.wrap_socket(raw)
            else:
                connection.sock = raw
            try:
                connection.request("GET", path)
                return connection.getresponse().status == 200
            finally:
                connection.close()
    except (OSError, http.client.HTTPException, RemoteError):
        return False
