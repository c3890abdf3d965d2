"""The way to a region's telemetry from where `vitalops` runs: through the API server's proxy of Services.

It needs nothing but the kubeconfig that `up` needs. No port of the telemetry is open to the outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from vitalops import conventions as c

if TYPE_CHECKING:
    import requests

    from infra.kube import HttpAccess
    from infra.operations.setting import Setting


class Backend(Enum):
    """A Service of the telemetry: its name and port."""

    PROMETHEUS = (c.PROMETHEUS_SERVICE, c.PROMETHEUS_PORT)
    ALERTMANAGER = (c.ALERTMANAGER_SERVICE, c.ALERTMANAGER_PORT)
    TRACES = (c.TRACES_SERVICE, c.TRACES_QUERY_PORT)
    LOGS = (c.LOGS_SERVICE, c.LOGS_PORT)

    @property
    def service(self) -> str:
        return self.value[0]

    @property
    def port(self) -> int:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a backend's own paths begin, and the session that may ask there."""

    base_url: str
    """Without a slash at its end."""
    session: requests.Session = field(repr=False)


def endpoint(setting: Setting, region: str, backend: Backend) -> Endpoint:
    """A backend of one region. Asks nothing yet: whoever uses the endpoint says what it did not answer.

    Raises RemoteError where the region's kubeconfig cannot be used.
    """
    return through(setting.connect(region), backend)


def through(api: HttpAccess, backend: Backend) -> Endpoint:
    """The same, of an API server that is connected already."""
    path = f"/api/v1/namespaces/{c.NAMESPACE_TELEMETRY}/services/{backend.service}:{backend.port}/proxy"
    return Endpoint(api.base_url + path, api.session())
