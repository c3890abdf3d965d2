"""The platform as it runs: what a runbook may reach. `infra.operations.running` is the real one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from vitalops.model.platform import FailoverPair, Platform
from vitalops.ports.backups import RegionBackups
from vitalops.ports.clock import Clock
from vitalops.ports.cluster import Cluster
from vitalops.ports.database import RegionDatabase
from vitalops.ports.media import CallModes, RegionMedia
from vitalops.ports.metrics import AlertSource, MetricsSource
from vitalops.ports.progress import Progress
from vitalops.ports.traffic import TrafficDirector
from vitalops.secretstore.port import SecretStore

if TYPE_CHECKING:
    from vitalops.consultation.report import VerificationReport


class RunningPlatform(Protocol):
    """Nothing is connected before it is asked for. Methods raise RemoteError where there is no way to a part."""

    @property
    def platform(self) -> Platform: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def secrets(self) -> SecretStore: ...

    def cluster(self, region: str) -> Cluster: ...

    def database(self, region: str) -> RegionDatabase: ...

    def backups(self, region: str) -> RegionBackups: ...

    def media(self, region: str) -> RegionMedia: ...

    def call_modes(self, pair: FailoverPair) -> CallModes:
        """What calls may be, as the pair's active region keeps it."""
        ...

    def metrics(self, region: str) -> MetricsSource: ...

    def alerts(self, region: str) -> AlertSource: ...

    def directors(self, pair: FailoverPair) -> tuple[TrafficDirector, ...]: ...

    def active_region(self, pair: FailoverPair) -> str:
        """As this machine last knew: what the regions say themselves counts more."""
        ...

    def set_active_region(self, pair: FailoverPair, region: str) -> None: ...

    def bring_up(self, regions: Sequence[str], progress: Progress) -> str:
        """Bring regions to what platform.yaml says, as `vitalops up` does. Returns what was changed, in a line."""
        ...

    def consult(self, pair: FailoverPair, seconds: float) -> VerificationReport:
        """One synthetic consultation through the pair's way in."""
        ...
