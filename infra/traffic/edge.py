"""The edge of a pair as a traffic director: the process of this machine, or what its regions keep for one elsewhere."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from infra.components.edge import ACTIVE_REGION, ANNOTATION_SWITCHED
from infra.components.edge import NAME as EDGE
from infra.edge.process import EdgeProcess
from infra.gateway.edge import MAP_FILE, map_text, region_backend
from infra.traffic.regions import require_region
from vitalops import conventions as c
from vitalops.errors import RemoteError
from vitalops.model.platform import FailoverPair
from vitalops.ports.clock import Clock
from vitalops.ports.cluster import MERGE, Json, KubeApi
from vitalops.ports.traffic import MAXIMUM_HOLD_SECONDS

PATH: Final = f"/api/v1/namespaces/{c.NAMESPACE_GATEWAY}/configmaps/{EDGE}"
_CLUSTER_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class EdgeDirector:
    """The edge that runs on this machine. A switch takes effect with the next request; running calls stay."""

    pair: FailoverPair
    process: EdgeProcess
    clock: Clock
    authority: Callable[[], str] = lambda: ""
    """PEM of whom clients trust; empty where the platform was never set up from here."""
    revive: Callable[[], str] = lambda: ""
    """Brings the process to what platform.yaml says, with a certificate that is good. Returns what was done."""

    @property
    def name(self) -> str:
        return f"edge {self.pair.name}"

    def active(self) -> str:
        region = self.process.active()
        return region if region in (self.pair.primary, self.pair.standby) else ""

    def switch(self, region: str) -> None:
        require_region(self.pair, region)
        self.process.route(region)
        if (now := self.active()) != region:
            raise RemoteError(f"{self.name} leads to {now or 'no region'} after it was switched to {region}")

    def hold(self, seconds: float) -> bool:
        self.process.hold(self.clock.now().timestamp() + min(max(seconds, 0.0), MAXIMUM_HOLD_SECONDS))
        return True

    def lead_calls(self, region: str) -> bool:
        if region:
            require_region(self.pair, region)
        self.process.route_calls(region)
        return True

    def calls_lead_to(self) -> str:
        return self.process.calls()

    def sees(self) -> Mapping[str, bool]:
        checks = self.process.checks()
        backends = {region: region_backend(region) for region in (self.pair.primary, self.pair.standby)}
        return {region: checks[backend] for region, backend in backends.items() if backend in checks}

    def fault(self) -> str:
        if self.process.pid() is None:
            return "its process does not run"
        try:
            status, _ = self.process.answers(self.authority())
        except ssl.SSLCertVerificationError as error:
            return f"clients refuse its certificate: {error.verify_message}"
        except OSError as error:
            return f"no answer: {' '.join(str(error).split())}"
        return "" if status == 200 else f"its health page says {status}"

    def repair(self, region: str) -> str:
        require_region(self.pair, region)
        done: list[str] = []
        if self.fault():
            # Where nothing runs, what is on disk is what it starts with.
            self.process.keep(region)
            done.append(self.revive())
            if done == ["unchanged"] and self.fault():
                self.process.stop()
                done = [f"ended, {self.revive()}"]
        if self.active() != region:
            self.switch(region)
            done.append(f"led to {region}")
        return ", ".join(done)

    def delay_seconds(self) -> float:
        return 0.0


@dataclass(frozen=True, slots=True)
class KeptEdgeDirector:
    """An edge that runs elsewhere: each region keeps what it should do in a ConfigMap, for whatever brings it there.

    A region that is lost is passed over; the later word of two that differ counts.
    """

    pair: FailoverPair
    clusters: Mapping[str, KubeApi]
    clock: Clock

    @property
    def name(self) -> str:
        return f"edge {self.pair.name} (kept in its regions)"

    def active(self) -> str:
        found = [self._read(cluster) for cluster in self.clusters.values()]
        kept = [each for each in found if not isinstance(each, RemoteError)]
        if not kept:
            raise self._lost(found)
        region = max(kept)[1]
        return region if region in (self.pair.primary, self.pair.standby) else ""

    def switch(self, region: str) -> None:
        require_region(self.pair, region)
        patch: Json = {
            "metadata": {"annotations": {ANNOTATION_SWITCHED: f"{self.clock.now().timestamp():.3f}"}},
            "data": {ACTIVE_REGION: region, MAP_FILE: map_text(region)},
        }
        failed = [self._patch(cluster, patch) for cluster in self.clusters.values()]
        if all(failed):
            raise self._lost(failed)

    def hold(self, seconds: float) -> bool:
        del seconds
        return False

    def lead_calls(self, region: str) -> bool:
        del region
        return False

    def calls_lead_to(self) -> str:
        return ""

    def sees(self) -> Mapping[str, bool]:
        return {}

    def fault(self) -> str:
        try:
            self.active()
        except RemoteError as error:
            return error.message
        return ""

    def repair(self, region: str) -> str:
        if self.active() == region:
            return ""
        self.switch(region)
        return f"led to {region}"

    def delay_seconds(self) -> float:
        return 0.0

    def _read(self, cluster: KubeApi) -> tuple[float, str] | RemoteError:
        try:
            found = cluster.request("GET", PATH, timeout=_CLUSTER_SECONDS)
        except RemoteError as error:
            return error
        noted = found.get("metadata", {}).get("annotations", {}).get(ANNOTATION_SWITCHED, "0")
        try:
            switched = float(noted)
        except ValueError:
            switched = 0.0
        return switched, str(found.get("data", {}).get(ACTIVE_REGION, ""))

    def _patch(self, cluster: KubeApi, patch: Json) -> RemoteError | None:
        try:
            cluster.request("PATCH", PATH, body=patch, content_type=MERGE, timeout=_CLUSTER_SECONDS)
        except RemoteError as error:
            return error
        return None

    def _lost(self, failed: list[tuple[float, str] | RemoteError] | list[RemoteError | None]) -> RemoteError:
        said = next((str(each) for each in failed if isinstance(each, RemoteError)), "no cluster")
        return RemoteError(f"{self.name}: neither region answers ({said})")
