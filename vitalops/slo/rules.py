"""Prometheus' rule files, compiled from a platform: recording rules, alerts, planned work.

What differs between regions is their name, their pair's, and the work planned there; the rest is compiled once for a
service and used for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TypeAlias

from vitalops.conventions import (
    METRIC_PAIR,
    METRIC_REGION,
    METRIC_SERVICE,
    METRIC_SLI,
    METRIC_SLO,
    SEVERITY_PAGE,
    SEVERITY_TICKET,
)
from vitalops.errors import UsageError
from vitalops.model.platform import FailoverPair, Platform
from vitalops.slo import alerts, recording
from vitalops.slo.emit import Raw, file, group
from vitalops.slo.infrastructure import infrastructure
from vitalops.slo.objectives import objectives_of, slos_of
from vitalops.slo.planned import concerns, planned_work, whole_region, work_in
from vitalops.slo.protection import protection
from vitalops.slo.windows import MINUTE, Windows, bundled_windows
from vitalops.suggest import suggestion

RuleFiles: TypeAlias = Mapping[str, str]
"""File name -> its text."""

INFRASTRUCTURE_FILE = "_infrastructure.yaml"
PLANNED_FILE = "_planned-work.yaml"
"""Names that no service can have."""
BUDGET_INTERVAL = 300
# From the private use area, which nothing out of a platform file reaches unescaped.
_REGION, _PAIR = "\ue000", "\ue001"


def compile_rules(platform: Platform, region: str) -> RuleFiles:
    """The rule files of one region, by name.

    Raises UsageError for a region that is in no pair of the platform.
    """
    return Compiler(platform).region(region)


class Compiler:
    """Compiles the rules of any of a platform's regions, and remembers what they have in common."""

    def __init__(self, platform: Platform, windows: Windows | None = None) -> None:
        self._platform = platform
        self._windows = windows or bundled_windows()
        self._services: dict[tuple[str, bool], str] = {}

    def region(self, region: str) -> RuleFiles:
        """As `compile_rules`."""
        pair = self._pair_of(region)
        placed = tuple(dict.fromkeys(slo.service for slo in objectives_of(self._platform, pair)))
        work = work_in(self._platform, region)
        peer = pair.standby if region == pair.primary else pair.primary
        labels = {METRIC_REGION: region, METRIC_PAIR: pair.name}
        scrape = self._platform.telemetry.scrape_interval_seconds
        files = {
            INFRASTRUCTURE_FILE: file(
                [
                    group(
                        "infrastructure",
                        scrape,
                        chain(
                            infrastructure(
                                pair,
                                labels,
                                whole_region(work),
                                whole_region(work_in(self._platform, peer)),
                                self._platform.telemetry.prober,
                            ),
                            protection(labels, self._platform.backups),
                        ),
                    )
                ]
            ),
            PLANNED_FILE: file([group("planned-work", scrape, planned_work(work, placed, labels))]),
        }
        for service in placed:
            planned = any(concerns(each, service) for each in work)
            template = self._service(service, planned)
            files[f"{service}.yaml"] = template.replace(_REGION, region).replace(_PAIR, pair.name)
        return {name: text for name, text in files.items() if text}

    def _pair_of(self, region: str) -> FailoverPair:
        for pair in self._platform.pairs.values():
            if region in (pair.primary, pair.standby):
                return pair
        known = [name for pair in self._platform.pairs.values() for name in (pair.primary, pair.standby)]
        raise UsageError(f"no pair has a region {region!r}", hint=suggestion(region, known))

    def _service(self, name: str, planned: bool) -> str:
        """A service's rule file, with marks where the region and the pair are named."""
        key = (name, planned)
        if key not in self._services:
            self._services[key] = file(self._groups(name, planned))
        return self._services[key]

    def _groups(self, name: str, planned: bool) -> Iterator[str]:
        platform, telemetry = self._platform, self._platform.telemetry
        slos = slos_of(platform, platform.services[name])
        service = recording.Service(name, slos, planned, telemetry.scrape_interval_seconds, self._windows)
        labels = {
            slo.id: {
                METRIC_SLO: slo.id,
                METRIC_SLI: slo.sli_name,
                METRIC_SERVICE: slo.service,
                METRIC_REGION: Raw(f'"{_REGION}"'),
                METRIC_PAIR: Raw(f'"{_PAIR}"'),
            }
            for slo in slos
        }
        probed = telemetry.prober.enabled
        fast = [*recording.with_each_scrape(service, labels)]
        slow = [*recording.each_minute(service, labels)]
        budget = [*recording.budgets(service)]
        significance = self._windows.longest.significance
        for slo in slos:
            own = labels[slo.id]
            fast += alerts.burn(service, slo, SEVERITY_PAGE, own)
            fast += alerts.absent(service, slo, own, probed=probed)
            slow += alerts.burn(service, slo, SEVERITY_TICKET, own)
            budget += alerts.exhausted(slo, own, significance)
        yield group(f"slo-{name}-scrape", service.scrape, fast)
        yield group(f"slo-{name}-minute", MINUTE, slow)
        yield group(f"slo-{name}-budget", BUDGET_INTERVAL, budget)
