"""What is known of a platform at one moment, and since when: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from vitalops.ports.metrics import FiringAlert
from vitalops.slo.status import SloReport

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """The last answer of something that is asked again and again.

    `value` and `at` are the last answer and its moment. `problem` is why there is no newer one, `since` from when on.
    All of them are empty until the first answer or failure.
    """

    value: T | None = None
    at: datetime | None = None
    problem: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A change of a stack that is going on."""

    stack: str
    holder: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class RegionState:
    """What a region's cluster says. `role` is its database's: primary, standby or unknown."""

    ready: bool
    problem: str
    role: str
    operations: tuple[Operation, ...] = ()


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a region's Prometheus says of now; None is what it has no series of.

    Requests are real ones per second through the gateway, `errors` the share of 5xx among them (None without requests),
    `lag` the seconds by which a standby database is behind (None where there is no standby).
    """

    age: float | None = None
    """Seconds since the newest scrape."""
    requests: float | None = None
    errors: float | None = None
    in_call: float | None = None
    waiting: float | None = None
    lag: float | None = None
    streaming: bool | None = None
    """Whether a standby database receives what its primary writes."""
    last_walk: datetime | None = None
    failed_walks: float | None = None
    """Of the prober, within the last quarter of an hour."""


@dataclass(frozen=True, slots=True)
class RegionView:
    name: str
    pair: str
    active: bool
    """Whether the edge of its pair sends clients here."""
    state: Held[RegionState]
    vitals: Held[Vitals]
    alerts: Held[tuple[FiringAlert, ...]]


@dataclass(frozen=True, slots=True)
class BudgetView:
    """The error budgets of a pair (its regions joined) or of a region on its own."""

    scope: str
    regions: tuple[str, ...]
    report: Held[SloReport]


@dataclass(frozen=True, slots=True)
class Snapshot:
    at: datetime
    platform: str
    interval: float
    """Seconds between two questions to a region."""
    scrape_interval: float
    regions: tuple[RegionView, ...]
    budgets: tuple[BudgetView, ...]

    @property
    def complete(self) -> bool:
        """Whether everything that was asked has answered."""
        held = [
            *(each for region in self.regions for each in (region.state, region.vitals, region.alerts)),
            *(budget.report for budget in self.budgets),
        ]
        return all(each.value is not None and not each.problem for each in held)
