"""Where measurements are asked for: a Prometheus, or an in-memory fake of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series. `time` is UTC."""

    labels: Labels
    value: float
    time: datetime


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one series, oldest first."""

    labels: Labels
    points: tuple[tuple[datetime, float], ...]


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """An alert as Alertmanager's API v2 shows it."""

    labels: Labels
    annotations: Labels
    started: datetime
    fingerprint: str
    state: str
    """active, suppressed or unprocessed."""
    silenced: bool = False
    """Suppressed because somebody said so; otherwise another alert says it already."""


class MetricsSource(Protocol):
    """One region's measurements. Every method raises RemoteError, naming the region, where there is no answer."""

    @property
    def name(self) -> str:
        """The region, as messages name it."""
        ...

    def instant(self, query: str, at: datetime | None = None) -> tuple[Sample, ...]: ...

    def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...]: ...


class AlertSource(Protocol):
    """One region's alerts."""

    @property
    def name(self) -> str: ...

    def alerts(self) -> tuple[FiringAlert, ...]: ...


@dataclass(slots=True)
class FakeAlerts:
    """The in-memory fake."""

    name: str = "fake"
    firing: tuple[FiringAlert, ...] = ()
    fails_with: Callable[[], Exception] | None = None

    def alerts(self) -> tuple[FiringAlert, ...]:
        if self.fails_with is not None:
            raise self.fails_with()
        return self.firing


@dataclass(slots=True)
class FakeMetrics:
    """The in-memory fake: answers by query, from what a test put in; what it does not know is empty."""

    name: str = "fake"
    instants: dict[str, tuple[Sample, ...]] = field(default_factory=dict[str, tuple[Sample, ...]])
    ranges: dict[str, tuple[Series, ...]] = field(default_factory=dict[str, tuple[Series, ...]])
    asked: list[str] = field(default_factory=list[str])
    fails_with: Callable[[], Exception] | None = None

    def instant(self, query: str, at: datetime | None = None) -> tuple[Sample, ...]:
        del at
        self._ask(query)
        return self.instants.get(query, ())

    def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...]:
        del start, end, step
        self._ask(query)
        return self.ranges.get(query, ())

    def _ask(self, query: str) -> None:
        self.asked.append(query)
        if self.fails_with is not None:
            raise self.fails_with()
