"""Recording rules: counts of events and failures of each SLO, over each window.

Close to now: the shortest window comes straight from the counters with every scrape, and its long window is that plus
the base before it. The base, `increase1m`, is recorded each minute and leaves planned work out; every longer window is
a sum of it. So a scrape's work is a few dozen samples for each raw series, and never days of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vitalops.conventions import (
    METRIC_SERVICE,
    METRIC_SLO,
    METRIC_TRAFFIC,
    METRIC_WINDOW,
    RECORD_BAD,
    RECORD_BUDGET_LEFT,
    RECORD_EVENTS,
    RECORD_OBJECTIVE,
    RECORD_PLANNED,
    RECORD_PRESENT,
    RECORD_RATIO,
    RECORD_UNJUDGED,
)
from vitalops.slo.emit import record
from vitalops.slo.objectives import Slo
from vitalops.slo.promql import duration, number, selector
from vitalops.slo.sources import Count, Source, increase, source_of, tiled
from vitalops.slo.windows import BASE, DAY, MINUTE, Windows


@dataclass(frozen=True, slots=True)
class Service:
    """One service's objectives, as the rules of one region see them."""

    name: str
    slos: tuple[Slo, ...]
    planned: bool
    """Whether work on the service is planned in the region, before now or after."""
    scrape: int
    """Seconds between two scrapes."""
    windows: Windows

    def series(self, name: str, **labels: str) -> str:
        """A recorded series of all of the service's SLOs."""
        return selector(name, {METRIC_SERVICE: self.name, **labels})

    def while_planned(self, name: str = "") -> str:
        """Non-empty while work is planned; with `name`, and until all such windows have forgotten it."""
        active = selector(RECORD_PLANNED, {METRIC_SERVICE: self.name})
        return f"max_over_time({active}[{name}]) == 1" if name else f"{active} == 1"


def with_each_scrape(service: Service, labels: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Rules of the group that follows every scrape; `labels` by the SLO's id."""
    (short, short_seconds), *longer = service.windows.names(with_scrape=True)
    for slo in service.slos:
        source, own = source_of(slo), labels[slo.id]
        yield record(RECORD_PRESENT, f"(count({source.presence}) > bool 0) or vector(0)", own)
        for name, expression in _counts(slo, source, short, increase(short)):
            if service.planned:
                expression = _by_the_minute(service, slo, name, expression, short_seconds)
            yield record(name, expression, own)
    for long, long_seconds in longer:
        before = duration(long_seconds - short_seconds)
        for counted in (RECORD_EVENTS, RECORD_BAD):
            now, base = service.series(counted + short), service.series(counted + BASE)
            older = f"sum_over_time({base}[{before}] offset {short})"
            yield record(counted + long, f"{now} + ({older} or 0 * {now})")
    yield from _ratios(service, with_scrape=True)


def each_minute(service: Service, labels: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Rules of the group that runs each minute: the base, and every window that is summed from it."""
    for slo in service.slos:
        source, own = source_of(slo), labels[slo.id]
        count = tiled(MINUTE, service.scrape)
        expressions = [*_counts(slo, source, BASE, count)]
        if source.unjudged:
            expressions.append((RECORD_UNJUDGED + BASE, count(source.unjudged)))
        for name, expression in expressions:
            if service.planned:
                # Any minute of which some second was planned; scrapes lag behind by up to two intervals.
                recently = service.while_planned(duration(MINUTE + 3 * service.scrape))
                expression = f"({expression})\nunless on () ({recently})"
            yield record(name, expression, own)
        yield record(
            RECORD_OBJECTIVE,
            f"vector({number(slo.objective)})",
            {**own, METRIC_TRAFFIC: slo.sli.traffic, METRIC_WINDOW: f"{slo.window_days}d"},
        )
    for name, seconds in service.windows.names(with_scrape=False):
        for counted in (RECORD_EVENTS, RECORD_BAD):
            yield record(counted + name, _summed(service, counted, seconds))
    yield from _ratios(service, with_scrape=False)


def budgets(service: Service) -> Iterator[str]:
    """What is left of each error budget, as a share; below 0 where more than all of it is spent."""
    recorded = {name for name, _ in service.windows.names(with_scrape=False)}
    for days in sorted({slo.window_days for slo in service.slos}):
        window = f"{days}d"
        if window not in recorded:
            for counted in (RECORD_EVENTS, RECORD_BAD):
                yield record(counted + window, _summed(service, counted, days * DAY))
        events, bad = service.series(RECORD_EVENTS + window), service.series(RECORD_BAD + window)
        objective = service.series(RECORD_OBJECTIVE, window=window)
        yield record(
            RECORD_BUDGET_LEFT,
            f"1 - {bad} / ({events} > 0)\n"
            f"  / on ({METRIC_SLO}, {METRIC_TRAFFIC}) group_left () (1 - {objective})",
        )


def _counts(slo: Slo, source: Source, window: str, count: Count) -> Iterator[tuple[str, str]]:
    """Names and expressions of events and of bad ones. Failures of which there is no series are none."""
    events = selector(RECORD_EVENTS + window, {METRIC_SLO: slo.id})
    yield RECORD_EVENTS + window, count(source.total)
    none = f"or on ({METRIC_TRAFFIC}) 0 * {events}"
    if source.bad is not None:
        yield RECORD_BAD + window, f"{count(source.bad)}\n{none}"
    if source.good is not None:
        yield (
            RECORD_BAD + window,
            f"clamp_min({events} - on ({METRIC_TRAFFIC}) (\n  {count(source.good)}\n  {none}\n), 0)",
        )


def _by_the_minute(service: Service, slo: Slo, name: str, expression: str, seconds: int) -> str:
    """`expression`; while its window reaches into planned work, what the base has instead, which leaves that out."""
    base = name[: name.rindex("increase")] + f"increase{BASE}"
    reach = service.while_planned(duration(seconds + MINUTE + 3 * service.scrape))
    summed = f"sum_over_time({selector(base, {METRIC_SLO: slo.id})}[{duration(seconds)}])"
    return (
        f"(\n({expression})\nunless on () ({reach})\n)\n"
        f"or sum by ({METRIC_TRAFFIC}) ({summed}) and on () ({reach})"
    )


def _summed(service: Service, counted: str, seconds: int) -> str:
    # Half a minute less than the window, so that as many minutes are summed whether or not the range is closed.
    span = duration(seconds - MINUTE // 2)
    return f"sum_over_time({service.series(counted + BASE)}[{span}])"


def _ratios(service: Service, *, with_scrape: bool) -> Iterator[str]:
    for name, _ in service.windows.names(with_scrape=with_scrape):
        bad, events = service.series(RECORD_BAD + name), service.series(RECORD_EVENTS + name)
        yield record(RECORD_RATIO + name, f"{bad} / ({events} > 0)")
