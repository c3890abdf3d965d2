"""All that a region's telemetry holds, as text: metrics, traces, logs, and the logs as the nodes have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from infra.kube import KubernetesApi
from infra.operations.observe import Backend, Endpoint, through
from infra.program.access import connect
from vitalops import conventions as c
from vitalops.model.platform import Platform
from vitalops.paths import Paths

Text = tuple[str, str]
"""Where it is from, and what it says."""
PAGE = 5000


@dataclass(frozen=True)
class Stores:
    """One region's. `since` is when the search begins."""

    region: str
    api: KubernetesApi
    since: datetime

    @staticmethod
    def of(platform: Platform, region: str, since: datetime) -> Stores:
        return Stores(region, connect(platform, Paths.from_environment(), region), since)

    def everything(self) -> Iterator[Text]:
        yield from self.metrics()
        yield from self.traces()
        yield from self.logs()
        yield from self.pod_logs()

    def metrics(self) -> Iterator[Text]:
        """Every target's own page, whatever is kept of it, and every label value that Prometheus has."""
        for namespace, pod, port in self._targets():
            path = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics"
            answer = self.session.get(self.api.base_url + path, timeout=30)
            if answer.ok:
                yield f"{self.region} metrics of {pod}", answer.text
        prometheus = self._endpoint(Backend.PROMETHEUS)
        for label in self._json(prometheus, "/api/v1/labels")["data"]:
            values = self._json(prometheus, f"/api/v1/label/{label}/values")["data"]
            yield f"{self.region} Prometheus label {label}", "\n".join(values)

    def traces(self) -> Iterator[Text]:
        jaeger = self._endpoint(Backend.TRACES)
        for service in self._json(jaeger, "/api/services")["data"] or ():
            params = {
                "service": service,
                "start": str(int(self.since.timestamp() * 1e6)),
                "end": str(int(datetime.now(self.since.tzinfo).timestamp() * 1e6)),
                "lookback": "custom",
                "limit": "10000",
            }
            document = self._json(jaeger, "/api/traces", params)
            # As text without escapes, so that every form of a seed is looked for in what was written.
            yield f"{self.region} traces of {service}", json.dumps(document, ensure_ascii=False)

    def logs(self) -> Iterator[Text]:
        """Every line of the log store, with its labels."""
        loki = self._endpoint(Backend.LOGS)
        end = int(datetime.now(self.since.tzinfo).timestamp() * 1e9)
        while True:
            params = {
                "query": f'{{{c.METRIC_REGION}="{self.region}"}}',
                "start": str(int(self.since.timestamp() * 1e9)),
                "end": str(end),
                "limit": str(PAGE),
                "direction": "backward",
            }
            streams = self._json(loki, "/loki/api/v1/query_range", params)["data"]["result"]
            lines = [(int(at), line) for stream in streams for at, line, *_ in stream["values"]]
            yield f"{self.region} logs", "\n".join(line for _, line in lines)
            yield f"{self.region} labels of logs", "\n".join(str(each["stream"]) for each in streams)
            if len(lines) < PAGE:
                return
            end = min(at for at, _ in lines)

    def pod_logs(self) -> Iterator[Text]:
        """What the containers printed, straight from the nodes; also of a container that ran before a restart."""
        for pod in self._pods():
            namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
            statuses = pod["status"].get("containerStatuses", ())
            for status in statuses:
                for previous in (False, True) if status["restartCount"] else (False,):
                    query = {
                        "container": status["name"],
                        "sinceTime": self.since.isoformat(timespec="seconds").replace("+00:00", "Z"),
                        "previous": str(previous).lower(),
                    }
                    path = f"/api/v1/namespaces/{namespace}/pods/{name}/log"
                    answer = self.session.get(self.api.base_url + path, params=query, timeout=60)
                    if answer.ok:
                        yield f"{self.region} output of {name}/{status['name']}", answer.text

    @property
    def session(self) -> requests.Session:
        return self.api.session()

    def _endpoint(self, backend: Backend) -> Endpoint:
        return through(self.api, backend)

    def _json(self, endpoint: Endpoint, path: str, params: dict[str, str] | None = None) -> Any:
        answer = endpoint.session.get(endpoint.base_url + path, params=params, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def _pods(self) -> list[dict[str, Any]]:
        return list(self.api.request("GET", "/api/v1/pods")["items"])

    def _targets(self) -> Iterator[tuple[str, str, int]]:
        """Namespace, pod and port of whatever may export metrics."""
        for pod in self._pods():
            metadata = pod["metadata"]
            if not metadata["namespace"].startswith("vitalops-") or pod["status"].get("phase") != "Running":
                continue
            for container in pod["spec"]["containers"]:
                for port in container.get("ports", ()):
                    if port.get("protocol", "TCP") == "TCP" and port.get("name") in ("http", "metrics"):
                        yield metadata["namespace"], metadata["name"], port["containerPort"]
