"""PromQL that budgets are read with: few queries, each for every objective at once.

Events that count are the real ones; for objectives over the prober's own walks, the synthetic ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from vitalops import conventions as c
from vitalops.slo.objectives import Slo

EVENTS_BASE: Final = f"{c.RECORD_EVENTS}1m"
BAD_BASE: Final = f"{c.RECORD_BAD}1m"
"""The base series: increase of a minute, recorded every minute."""

HOUR: Final = "1h"
SIX_HOURS: Final = "6h"
_BY: Final = f"{c.METRIC_SLO},{c.METRIC_REGION},{c.METRIC_TRAFFIC}"

SCRAPE_AGES: Final = f"time() - max by ({c.METRIC_REGION}) (timestamp(up))"
"""Seconds since a region was last scraped, by the clock of the Prometheus itself."""


def selectors(metric: str, slos: Sequence[Slo], service: str | None = None) -> tuple[str, ...]:
    """Series of `metric` with the events that count for `slos`; two selectors where both kinds of traffic do."""
    narrowed = f',{c.METRIC_SERVICE}="{service}"' if service else ""
    synthetic = sorted({slo.id for slo in slos if slo.sli.traffic == c.TRAFFIC_SYNTHETIC})
    found: list[str] = []
    if any(slo.sli.traffic != c.TRAFFIC_SYNTHETIC for slo in slos):
        found.append(f'{metric}{{{c.METRIC_TRAFFIC}!="{c.TRAFFIC_SYNTHETIC}"{narrowed}}}')
    if synthetic:
        names = "|".join(synthetic)
        found.append(
            f'{metric}{{{c.METRIC_TRAFFIC}="{c.TRAFFIC_SYNTHETIC}",{c.METRIC_SLO}=~"{names}"{narrowed}}}'
        )
    return tuple(found)


def summed(metric: str, slos: Sequence[Slo], span: timedelta, service: str | None = None) -> str:
    """Events of each span that ends at the evaluated moment."""
    parts = " or ".join(
        f"sum_over_time({each}[{_just_under(span)}])" for each in selectors(metric, slos, service)
    )
    return f"sum by ({_BY}) ({parts})"


def recorded_minutes(slos: Sequence[Slo], span: timedelta, service: str | None = None) -> str:
    """How many samples of the base series, one a minute, each span holds."""
    parts = " or ".join(
        f"count_over_time({each}[{_just_under(span)}])" for each in selectors(EVENTS_BASE, slos, service)
    )
    return f"max by ({_BY}) ({parts})"


def recent(slos: Sequence[Slo], service: str | None = None) -> str:
    """Events and bad events of the last hour and six hours, by the name of the recorded series."""
    names = "|".join(
        f"{series}{window}" for series in (c.RECORD_EVENTS, c.RECORD_BAD) for window in (HOUR, SIX_HOURS)
    )
    parts = " or ".join(_by_name(each, names) for each in selectors("", slos, service))
    return f"sum by (__name__,{_BY}) ({parts})"


def ages(slos: Sequence[Slo], service: str | None = None) -> str:
    """Seconds since each objective's base series was last recorded; nothing where it is missing now."""
    parts = " or ".join(f"timestamp({each})" for each in selectors(EVENTS_BASE, slos, service))
    return f"time() - max by ({_BY}) ({parts})"


def last_recorded(slos: Sequence[Slo], window: timedelta, service: str | None = None) -> str:
    """When a region's base series were last recorded, looked for through the whole window. Slow: for what is quiet."""
    parts = " or ".join(f"timestamp({each})" for each in selectors(EVENTS_BASE, slos, service))
    return f"max by ({c.METRIC_REGION}) (max_over_time(({parts})[{_milliseconds(window)}ms:5m]))"


def _by_name(selector: str, names: str) -> str:
    return f'{{__name__=~"{names}",{selector.removeprefix("{")}'


def _just_under(span: timedelta) -> str:
    # Prometheus 2 counts a sample at either end of a range: a millisecond less keeps it from being counted twice.
    return f"{_milliseconds(span) - 1}ms"


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
