"""From the samples of one Prometheus to what it says of each objective in each region. Pure."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from vitalops import conventions as c
from vitalops.ports.metrics import Labels, Sample, Series
from vitalops.slo.budget import Counts, RegionMeasure, State
from vitalops.slo.objectives import Slo
from vitalops.slo.queries import HOUR, SIX_HOURS

BUCKETS: Final = 30
"""Parts of a window: a month by days."""
BASE_INTERVAL: Final = timedelta(minutes=1)
MISSED_INTERVALS: Final = 3
"""Data that is more than this many intervals old is stale."""

Key = tuple[str, str]
"""Region and SLO."""
Join = Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class WindowAnswers:
    """What was asked over one window, in parts of `step`, the first of which ends at `first`."""

    first: datetime
    step: timedelta
    events: tuple[Series, ...]
    bad: tuple[Series, ...]
    minutes: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything that one Prometheus answered. `windows` is by length."""

    windows: Mapping[timedelta, WindowAnswers]
    recent: tuple[Sample, ...]
    ages: tuple[Sample, ...]
    scrape_ages: tuple[Sample, ...]


class Readings:
    """Answers, sorted by region and objective."""

    def __init__(self, answers: Answers, regions: tuple[str, ...], slos: Iterable[Slo]) -> None:
        self._regions = regions
        self._synthetic = {slo.id for slo in slos if slo.sli.traffic == c.TRAFFIC_SYNTHETIC}
        self._events: dict[timedelta, dict[Key, list[float | None]]] = {}
        self._bad: dict[timedelta, dict[Key, list[float | None]]] = {}
        self._minutes: dict[timedelta, dict[Key, list[float | None]]] = {}
        for length, window in answers.windows.items():
            self._events[length] = self._bucketed(window.events, window)
            self._bad[length] = self._bucketed(window.bad, window)
            self._minutes[length] = self._bucketed(window.minutes, window, max)
        self._recent: dict[tuple[str, Key], float] = {}
        for sample in answers.recent:
            key, name = self._key(sample.labels), sample.labels.get("__name__", "")
            if key and math.isfinite(sample.value):
                self._recent[name, key] = self._recent.get((name, key), 0.0) + sample.value
        self._ages = {
            key: timedelta(seconds=sample.value)
            for sample in answers.ages
            if (key := self._key(sample.labels)) and math.isfinite(sample.value)
        }
        self._scrapes = {
            region: timedelta(seconds=sample.value)
            for sample in answers.scrape_ages
            if (region := self._region(sample.labels)) and math.isfinite(sample.value)
        }

    def age(self, region: str) -> timedelta | None:
        """How old the newest of a region's data is: a scrape, or a recorded sample."""
        recorded = [age for (of, _), age in self._ages.items() if of == region]
        scraped = self._scrapes.get(region)
        return min([*recorded, *([scraped] if scraped is not None else [])], default=None)

    def is_stale(self, region: str, scrape_interval: timedelta) -> bool:
        """Whether nothing was scraped, or nothing recorded, for three intervals of either."""
        scraped = self._scrapes.get(region)
        if scraped is not None:
            return scraped > MISSED_INTERVALS * scrape_interval
        age = self.age(region)
        return age is None or age > MISSED_INTERVALS * BASE_INTERVAL

    def moments(self, samples: Iterable[Sample], regions: Iterable[str]) -> dict[str, datetime]:
        """Moments in Unix time, by region."""
        wanted = set(regions)
        return {
            region: datetime.fromtimestamp(sample.value, UTC)
            for sample in samples
            if (region := self._region(sample.labels)) and region in wanted
        }

    def measure(
        self, region: str, slo: str, length: timedelta, now: datetime, *, stale: bool, newest: datetime | None
    ) -> RegionMeasure:
        """What is said of `slo` over a window of `length`. `stale` and `newest` are the region's."""
        key = (region, slo)
        events = self._events[length].get(key)
        bad = self._bad[length].get(key, [None] * BUCKETS)
        if events is None or all(value is None for value in events):
            return RegionMeasure(region, trouble=State.ABSENT)
        buckets = tuple(
            # Without bad ones recorded beside them, events say nothing of how many were good.
            None if each is None or failed is None else Counts(each, failed)
            for each, failed in zip(events, bad, strict=True)
        )
        minutes = sum(value or 0.0 for value in self._minutes[length].get(key, []))
        age = self._ages.get(key)
        trouble = self._trouble(age, stale)
        return RegionMeasure(
            region,
            buckets,
            hour=None if trouble else self._now(key, HOUR),
            six_hours=None if trouble else self._now(key, SIX_HOURS),
            covered=min(minutes * BASE_INTERVAL / length, 1.0),
            newest=now - age if age is not None else newest,
            trouble=trouble if any(bucket is not None for bucket in buckets) else State.ABSENT,
        )

    def _trouble(self, age: timedelta | None, stale: bool) -> State | None:
        if stale:
            return State.STALE
        if age is None:
            return State.FROZEN
        return State.STALE if age > MISSED_INTERVALS * BASE_INTERVAL else None

    def _now(self, key: Key, window: str) -> Counts | None:
        events = self._recent.get((f"{c.RECORD_EVENTS}{window}", key))
        bad = self._recent.get((f"{c.RECORD_BAD}{window}", key))
        return None if events is None or bad is None else Counts(events, bad)

    def _bucketed(
        self, series: Iterable[Series], window: WindowAnswers, join: Join = operator.add
    ) -> dict[Key, list[float | None]]:
        """Values by part of the window. Series without `traffic` and those of `real` are both real: `join` has both."""
        found: dict[Key, list[float | None]] = {}
        for each in series:
            key = self._key(each.labels)
            if key is None:
                continue
            row = found.setdefault(key, [None] * BUCKETS)
            for moment, value in each.points:
                place = round((moment - window.first) / window.step)
                if 0 <= place < BUCKETS and math.isfinite(value):
                    known = row[place]
                    row[place] = value if known is None else join(known, value)
        return found

    def _key(self, labels: Labels) -> Key | None:
        """Region and SLO of a series whose events count for that SLO."""
        region, slo = self._region(labels), labels.get(c.METRIC_SLO)
        if region is None or slo is None:
            return None
        synthetic = labels.get(c.METRIC_TRAFFIC) == c.TRAFFIC_SYNTHETIC
        return (region, slo) if synthetic == (slo in self._synthetic) else None

    def _region(self, labels: Labels) -> str | None:
        region = labels.get(c.METRIC_REGION)
        if region is None and len(self._regions) == 1:
            return self._regions[0]
        return region if region in self._regions else None
