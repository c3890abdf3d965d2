"""What is asked of whom for the dashboard, and how answers become a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cli.sources import scrape_interval, sources
from vitalops.model.platform import Platform
from vitalops.model.selection import pair_of
from vitalops.paths import Paths
from vitalops.ports.clock import Clock
from vitalops.ports.metrics import AlertSource, FiringAlert
from vitalops.slo.status import Question, Scope, SloReport, slo_status
from vitalops.watch.gather import Poll
from vitalops.watch.snapshot import BudgetView, RegionState, RegionView, Snapshot, Vitals
from vitalops.watch.vitals import vitals

if TYPE_CHECKING:
    from infra.operations.setting import Setting

C = TypeVar("C")
T = TypeVar("T")

TIMEOUT_SECONDS = 8.0
BUDGET_SECONDS = 30.0
"""Budgets of a month change slowly, and are summed from millions of samples."""


@dataclass(frozen=True, slots=True)
class RegionPolls:
    name: str
    pair: str
    state: Poll[RegionState]
    vitals: Poll[Vitals]
    alerts: Poll[tuple[FiringAlert, ...]]


@dataclass(frozen=True, slots=True)
class Polls:
    platform: Platform
    interval: float
    clock: Clock
    regions: tuple[RegionPolls, ...]
    budgets: tuple[tuple[Scope, Poll[SloReport]], ...]

    @property
    def all(self) -> list[Poll[Any]]:
        asked = [poll for each in self.regions for poll in (each.state, each.vitals, each.alerts)]
        return [*asked, *(poll for _, poll in self.budgets)]

    def snapshot(self) -> Snapshot:
        """What is known now. Waits for nobody."""
        active = _active(self.platform)
        return Snapshot(
            at=self.clock.now(),
            platform=self.platform.name,
            interval=self.interval,
            scrape_interval=self.platform.telemetry.scrape_interval_seconds,
            regions=tuple(
                RegionView(
                    each.name,
                    each.pair,
                    each.name in active,
                    each.state.held(),
                    each.vitals.held(),
                    each.alerts.held(),
                )
                for each in self.regions
            ),
            budgets=tuple(BudgetView(scope.name, scope.regions, poll.held()) for scope, poll in self.budgets),
        )


def polls(
    platform: Platform, scopes: Sequence[Scope], named: Sequence[str], interval: float, clock: Clock
) -> Polls:
    """Everything to ask, nothing of it asked yet. `named` is what --prometheus was given.

    Raises UsageError for a Prometheus that is named wrongly.
    """
    regions = tuple(dict.fromkeys(name for scope in scopes for name in scope.regions))
    asked = {
        region: source
        for source in sources(platform, regions, named, timeout=TIMEOUT_SECONDS)
        for region in source.regions
    }
    setting = _setting(platform, regions)

    def region_polls(region: str) -> RegionPolls:
        pair = pair_of(platform, region)
        return RegionPolls(
            region,
            pair.name if pair else "",
            Poll(f"{region} state", lambda: _state(setting(), region), interval, clock),
            Poll(
                f"{region} metrics",
                _kept(asked[region].connect, lambda metrics: vitals(metrics, region)),
                interval,
                clock,
            ),
            Poll(
                f"{region} alerts",
                _kept(lambda: _alert_source(platform, region), lambda source: source.alerts()),
                interval,
                clock,
            ),
        )

    def budget_poll(scope: Scope) -> Poll[SloReport]:
        chosen = tuple({id(asked[region]): asked[region] for region in scope.regions}.values())

        def ask() -> SloReport:
            now = clock.now().replace(microsecond=0)
            return slo_status(chosen, [scope], Question(now, scrape_interval(platform)))

        return Poll(f"{scope.name} budgets", ask, max(interval, BUDGET_SECONDS), clock)

    return Polls(
        platform,
        interval,
        clock,
        tuple(region_polls(region) for region in regions),
        tuple((scope, budget_poll(scope)) for scope in scopes),
    )


def _setting(platform: Platform, regions: tuple[str, ...]) -> Callable[[], Setting]:
    def make() -> Setting:
        from infra.operations.setting import Setting

        return Setting(platform, Paths.from_environment(), regions)

    return make


def _state(setting: Setting, region: str) -> RegionState:
    from infra.operations.watch import region_state

    return region_state(setting, region)


def _kept(connect: Callable[[], C], ask: Callable[[C], T]) -> Callable[[], T]:
    """`ask` over one connection, which is made again after a failure: the region may have other credentials now."""
    kept: list[C] = []

    def again() -> T:
        connection = kept.pop() if kept else connect()
        answer = ask(connection)
        kept.append(connection)
        return answer

    return again


def _alert_source(platform: Platform, region: str) -> AlertSource:
    from infra.operations.observe import Backend, through
    from infra.program.access import connect
    from vitalops.observe.alertmanager import AlertmanagerAlerts

    found = through(connect(platform, Paths.from_environment(), region), Backend.ALERTMANAGER)
    return AlertmanagerAlerts(region, found.base_url, found.session, timeout=TIMEOUT_SECONDS)


def _active(platform: Platform) -> frozenset[str]:
    from infra.program.state import active_region

    state = Paths.from_environment().state
    return frozenset(active_region(state, platform.name, pair) for pair in platform.pairs.values())
