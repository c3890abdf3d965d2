"""Which objectives hold for which service of a pair: the one list that rules, dashboards, gates and reports go by."""

from __future__ import annotations

from dataclasses import dataclass

from vitalops.model.platform import FailoverPair, Platform, Service
from vitalops.model.slo import Sli


@dataclass(frozen=True, slots=True)
class Slo:
    """One service's objective for one SLI."""

    service: str
    sli_name: str
    sli: Sli
    objective: float
    """Share of good events, above 0 and below 1."""
    window_days: int
    pages: bool

    @property
    def id(self) -> str:
        """Unique within a platform: the value of the label `slo`."""
        return f"{self.service}-{self.sli_name}"

    @property
    def budget(self) -> float:
        """Share of events that may be bad."""
        return 1.0 - self.objective


def slos_of(platform: Platform, service: Service) -> tuple[Slo, ...]:
    """The objectives of one service: its tier's, with the service's own in their place or added."""
    tier = platform.tiers[service.tier]
    objectives = {**tier.objectives, **service.objectives}
    return tuple(
        Slo(service.name, name, platform.slis[name], objective, tier.window_days, tier.pages)
        for name, objective in objectives.items()
    )


def objectives_of(platform: Platform, pair: FailoverPair | None = None) -> tuple[Slo, ...]:
    """Every objective, in the platform's order; with `pair`, of the services placed in it."""
    return tuple(
        slo
        for service in platform.services.values()
        if pair is None or service.pairs is None or pair.name in service.pairs
        for slo in slos_of(platform, service)
    )
