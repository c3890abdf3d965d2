"""What of a platform file could be understood, whatever is wrong with the rest: what the rules judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from vitalops.model.platform import FailoverPair, Region, Service
from vitalops.model.slo import Sli, Tier
from vitalops.model.source import Pointer
from vitalops.model.telemetry import PlannedWork, Telemetry


@dataclass(frozen=True, slots=True)
class Reference:
    """At `pointer` the file names a region, pair, service, tier or sli (`kind`)."""

    kind: str
    name: str
    pointer: Pointer


@dataclass(frozen=True, slots=True)
class Draft:
    """What of a platform file could be understood. The name sets also hold what could not, as far as it has a name."""

    today: date
    regions: Mapping[str, Region] = field(default_factory=dict[str, Region])
    pairs: Mapping[str, FailoverPair] = field(default_factory=dict[str, FailoverPair])
    services: Mapping[str, Service] = field(default_factory=dict[str, Service])
    slis: Mapping[str, Sli] = field(default_factory=dict[str, Sli])
    tiers: Mapping[str, Tier] = field(default_factory=dict[str, Tier])
    telemetry: Telemetry | None = None
    planned_work: Mapping[int, PlannedWork] = field(default_factory=dict[int, PlannedWork])
    """By its place in the list."""
    webhooks: tuple[tuple[int, str], ...] = ()
    """Place in the list, and name."""
    region_names: tuple[str, ...] = ()
    pair_names: tuple[str, ...] = ()
    service_names: tuple[str, ...] = ()
    sli_names: tuple[str, ...] = ()
    tier_names: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    registry: str | None = None
