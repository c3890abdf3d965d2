"""The platform as it runs, for runbooks: `vitalops.ports.running.RunningPlatform` on real clusters.

Connections are made when they are asked for, once a region, and kept: a lost region must not stop what acts on the
other one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from infra.kube import KubernetesApi
from infra.operations.observe import Backend, through
from infra.operations.setting import Setting
from infra.program.state import active_region, set_active_region
from vitalops.consultation.report import VerificationReport
from vitalops.errors import UsageError, VitalopsError
from vitalops.model.platform import FailoverPair, Platform
from vitalops.ports.backups import RegionBackups
from vitalops.ports.clock import Clock, SystemClock
from vitalops.ports.database import RegionDatabase
from vitalops.ports.media import CallModes, RegionMedia
from vitalops.ports.metrics import AlertSource, MetricsSource
from vitalops.ports.progress import Progress
from vitalops.ports.traffic import TrafficDirector
from vitalops.secretstore import SecretStore

T = TypeVar("T")


class OperatedPlatform:
    """`RunningPlatform` of one platform file on this machine. Safe to use from several threads."""

    def __init__(self, setting: Setting, clock: Clock | None = None) -> None:
        self._setting = setting
        self._clock = clock or SystemClock()
        self._kept: dict[tuple[str, str], Any] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._guard = threading.Lock()

    @property
    def platform(self) -> Platform:
        return self._setting.platform

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def secrets(self) -> SecretStore:
        return self._setting.store

    @property
    def setting(self) -> Setting:
        """For the adapters of this package; runbooks do not know it."""
        return self._setting

    def cluster(self, region: str) -> KubernetesApi:
        return self._once("cluster", region, lambda: self._setting.connect(self._known(region)))

    def database(self, region: str) -> RegionDatabase:
        def make() -> RegionDatabase:
            from infra.operations.database import GuardedDatabase

            return GuardedDatabase(self._known(region), lambda: self.cluster(region))

        return self._once("database", region, make)

    def backups(self, region: str) -> RegionBackups:
        def make() -> RegionBackups:
            from infra.operations.backups import ClusterBackups
            from infra.program.inputs import region_args

            args = region_args(self._setting.surroundings({}), self._known(region))
            return ClusterBackups(args, self.cluster)

        return self._once("backups", region, make)

    def media(self, region: str) -> RegionMedia:
        def connect() -> RegionMedia:
            from infra.operations.media import LiveKitMedia
            from vitalops.model.selection import pair_of

            pair = pair_of(self.platform, self._known(region))
            if pair is None:
                raise UsageError(
                    f"region {region} belongs to no failover pair", hint="add it to one under `pairs`"
                )
            return LiveKitMedia(region, pair.name, self.cluster(region), self.secrets)

        return self._once("media", region, connect)

    def call_modes(self, pair: FailoverPair) -> CallModes:
        from vitalops.consultation.access import access_to
        from vitalops.consultation.modes import ServiceCallModes

        return ServiceCallModes(access_to(self.platform, pair, self._setting.paths))

    def metrics(self, region: str) -> MetricsSource:
        def connect() -> MetricsSource:
            from vitalops.observe.prometheus import PrometheusMetrics

            found = through(self.cluster(region), Backend.PROMETHEUS)
            return PrometheusMetrics(region, found.base_url, found.session, timeout=10.0)

        return self._once("metrics", region, connect)

    def alerts(self, region: str) -> AlertSource:
        def connect() -> AlertSource:
            from vitalops.observe.alertmanager import AlertmanagerAlerts

            found = through(self.cluster(region), Backend.ALERTMANAGER)
            return AlertmanagerAlerts(region, found.base_url, found.session)

        return self._once("alerts", region, connect)

    def directors(self, pair: FailoverPair) -> tuple[TrafficDirector, ...]:
        from infra.operations.traffic import directors_of

        return directors_of(self, pair)

    def active_region(self, pair: FailoverPair) -> str:
        return active_region(self._setting.paths.state, self.platform.name, pair)

    def set_active_region(self, pair: FailoverPair, region: str) -> None:
        if region not in (pair.primary, pair.standby):
            raise UsageError(
                f"{region} is no region of pair {pair.name}", hint=f"{pair.primary} or {pair.standby}"
            )
        set_active_region(self._setting.paths.state, self.platform.name, pair, region)

    def bring_up(self, regions: Sequence[str], progress: Progress) -> str:
        """Edges come up only for pairs of which both regions are named."""
        from infra.operations.up import up

        result = up(
            replace(self._setting, regions=tuple(self._known(region) for region in regions)), progress
        )
        changes = sum(len(outcome.changes) for outcome in result.stacks)
        edges = [f"edge {edge.pair} {edge.action}" for edge in result.edges]
        return ", ".join([f"{changes} objects changed in {len(result.stacks)} stacks", *edges])

    def consult(self, pair: FailoverPair, seconds: float) -> VerificationReport:
        """In an event loop of its own, in a thread of its own: the caller may have one already."""
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        from vitalops.consultation.access import access_to
        from vitalops.consultation.verification import verify

        access = access_to(self.platform, pair, self._setting.paths)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="consult") as pool:
            return pool.submit(lambda: asyncio.run(verify(access, seconds))).result()

    def _known(self, region: str) -> str:
        if region not in self.platform.regions:
            raise UsageError(
                f"there is no region {region}", hint=f"known: {', '.join(self.platform.regions)}"
            )
        return region

    def _once(self, kind: str, region: str, make: Callable[[], T]) -> T:
        """What `make` made the first time; a region that is slow to answer does not hold up the others."""
        key = (kind, region)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._kept:
                self._kept[key] = make()
            found: T = self._kept[key]
            return found


def _unavailable(what: str, where: str) -> VitalopsError:
    return VitalopsError(f"{where}: operations on its {what} are not available")
