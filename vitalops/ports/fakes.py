"""A whole platform in memory, for tests of runbooks and of what runs them. Deterministic: time passes when told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from vitalops.consultation.report import VerificationReport
from vitalops.errors import RemoteError, UsageError, VitalopsError
from vitalops.model.platform import FailoverPair, Platform
from vitalops.ports.backups import RegionBackups
from vitalops.ports.clock import FakeClock
from vitalops.ports.cluster import FakeCluster
from vitalops.ports.database import RegionDatabase
from vitalops.ports.media import FakeCallModes, RegionMedia
from vitalops.ports.metrics import FakeAlerts, FakeMetrics
from vitalops.ports.progress import Progress
from vitalops.ports.traffic import FakeDirector
from vitalops.secretstore.port import InMemorySecretStore

T = TypeVar("T")


@dataclass(slots=True)
class FakeRunning:
    """The in-memory fake of `RunningPlatform`.

    Clusters, metrics, alerts and directors are there for every region and pair; databases, backups and media are those
    that a test puts in, and what it did not put in is not reached. `lost` regions are reached by nothing.
    `effects` lists what was done through this object itself, in order, for tests to count.
    """

    platform: Platform
    clock: FakeClock = field(default_factory=FakeClock)
    secrets: InMemorySecretStore = field(default_factory=InMemorySecretStore)
    clusters: dict[str, FakeCluster] = field(default_factory=dict[str, FakeCluster])
    databases: dict[str, RegionDatabase] = field(default_factory=dict[str, RegionDatabase])
    stores: dict[str, RegionBackups] = field(default_factory=dict[str, RegionBackups])
    medias: dict[str, RegionMedia] = field(default_factory=dict[str, RegionMedia])
    modes: dict[str, FakeCallModes] = field(default_factory=dict[str, FakeCallModes])
    """What calls may be, by pair."""
    measured: dict[str, FakeMetrics] = field(default_factory=dict[str, FakeMetrics])
    alerting: dict[str, FakeAlerts] = field(default_factory=dict[str, FakeAlerts])
    led_by: dict[str, tuple[FakeDirector, ...]] = field(default_factory=dict[str, tuple[FakeDirector, ...]])
    """Directors by pair."""
    active: dict[str, str] = field(default_factory=dict[str, str])
    """Active regions by pair; its primary where nothing is said."""
    lost: set[str] = field(default_factory=set[str])
    effects: list[str] = field(default_factory=list[str])
    brings_up: Callable[[tuple[str, ...]], str] | None = None
    """What `bring_up` does besides being listed."""
    consults: Callable[[FailoverPair], VerificationReport] | None = None
    """How a consultation ends; a good one where a test does not say."""

    def cluster(self, region: str) -> FakeCluster:
        self._reached(region)
        return self.clusters.setdefault(region, FakeCluster(region))

    def database(self, region: str) -> RegionDatabase:
        self._reached(region)
        return _present(self.databases, region, "database")

    def backups(self, region: str) -> RegionBackups:
        self._reached(region)
        return _present(self.stores, region, "backups")

    def media(self, region: str) -> RegionMedia:
        self._reached(region)
        return _present(self.medias, region, "media servers")

    def call_modes(self, pair: FailoverPair) -> FakeCallModes:
        return self.modes.setdefault(pair.name, FakeCallModes())

    def metrics(self, region: str) -> FakeMetrics:
        self._reached(region)
        return self.measured.setdefault(region, FakeMetrics(region))

    def alerts(self, region: str) -> FakeAlerts:
        self._reached(region)
        return self.alerting.setdefault(region, FakeAlerts(region))

    def directors(self, pair: FailoverPair) -> tuple[FakeDirector, ...]:
        if pair.name not in self.led_by:
            reached = {region: region not in self.lost for region in (pair.primary, pair.standby)}
            edge = FakeDirector(f"edge {pair.name}", self.active_region(pair), reached)
            self.led_by[pair.name] = (edge,)
        return self.led_by[pair.name]

    def active_region(self, pair: FailoverPair) -> str:
        return self.active.get(pair.name, pair.primary)

    def set_active_region(self, pair: FailoverPair, region: str) -> None:
        self.active[pair.name] = region
        self.effects.append(f"active {pair.name} {region}")

    def bring_up(self, regions: Sequence[str], progress: Progress) -> str:
        for region in regions:
            self._reached(region)
            progress.step(f"up {region}")
        self.effects.append(f"up {' '.join(regions)}")
        return self.brings_up(tuple(regions)) if self.brings_up else "nothing changed"

    def consult(self, pair: FailoverPair, seconds: float) -> VerificationReport:
        self.effects.append(f"consult {pair.name}")
        if self.consults:
            return self.consults(pair)
        return VerificationReport(True, "", pair.name, pair.edge.public_url, seconds, (), ())

    def _reached(self, region: str) -> None:
        if region not in self.platform.regions:
            raise UsageError(
                f"there is no region {region}", hint=f"known: {', '.join(self.platform.regions)}"
            )
        if region in self.lost:
            raise RemoteError(f"region {region} does not answer")


def _present(kept: dict[str, T], region: str, what: str) -> T:
    if region not in kept:
        raise VitalopsError(f"{region}: operations on its {what} are not available")
    return kept[region]
