"""Patroni beside the guard: its dynamic configuration in the API server, and its REST API on this pod."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Callable
from typing import Any, Final

from vitalops.errors import RemoteError
from vitalops.guard.kube import ConfigMaps, Conflict

NAMES: Final = "synchronous_standby_names"
_ATTEMPTS: Final = 5
_CONFIG: Final = "config"

Config = dict[str, Any]


class PatroniConfig:
    """Patroni's dynamic configuration, kept by it in an annotation; a change wakes every member at once.

    It is written here and not through Patroni's own API, so that a region is fenced also while Patroni does not run.
    """

    def __init__(self, maps: ConfigMaps, name: str) -> None:
        self._maps = maps
        self._name = name

    def read(self) -> Config | None:
        """None before the cluster is made for the first time. Raises RemoteError."""
        found = self._maps.get(self._name)
        text = (found or {}).get("metadata", {}).get("annotations", {}).get(_CONFIG)
        return dict(json.loads(text)) if text else None

    def change(self, change: Callable[[Config], None]) -> Config:
        """Apply `change` to the newest configuration. Raises RemoteError."""
        for _ in range(_ATTEMPTS):
            found = self._maps.get(self._name)
            metadata = (found or {}).get("metadata", {})
            text = metadata.get("annotations", {}).get(_CONFIG)
            if not text:
                raise RemoteError("Patroni has no configuration yet: the database was never made")
            config: Config = json.loads(text)
            change(config)
            written = json.dumps(config, separators=(",", ":"))
            if config == json.loads(text):
                return config
            body = {
                "metadata": {
                    "resourceVersion": metadata["resourceVersion"],
                    "annotations": {_CONFIG: written},
                }
            }
            try:
                self._maps.patch(self._name, body)
            except Conflict:
                continue
            return config
        raise RemoteError("Patroni's configuration is changed all the time by somebody else")


def follows(config: Config | None) -> bool:
    return bool(config and config.get("standby_cluster"))


def names_in(config: Config | None) -> str:
    return str((config or {}).get("postgresql", {}).get("parameters", {}).get(NAMES, "") or "")


def quoted(members: tuple[str, ...]) -> str:
    """PostgreSQL's synchronous_standby_names for any one of `members`; empty for none."""
    if not members:
        return ""
    listed = ", ".join(f'"{member}"' for member in members)
    return f"ANY 1 ({listed})"


def set_names(config: Config, members: tuple[str, ...]) -> None:
    config.setdefault("postgresql", {}).setdefault("parameters", {})[NAMES] = quoted(members)


class PatroniRest:
    """The REST API of this pod's Patroni."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self._port = port
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def ask(
        self, method: str, path: str, body: Config | None = None, seconds: float = 3.0
    ) -> tuple[int, str]:
        """Raises RemoteError where Patroni does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=seconds)
        try:
            headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise RemoteError(f"Patroni does not answer: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def members(self) -> list[Config]:
        """Members of this region's cluster, with `name`, `role` and `state`."""
        status, text = self.ask("GET", "/cluster")
        if status != http.client.OK:
            raise RemoteError(f"Patroni answered {status} to /cluster")
        return list(json.loads(text).get("members", []))
