"""How old a region's newest measurement is: old figures are said to be old, and are never taken for today's."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from vitalops.errors import RemoteError
from vitalops.ports.metrics import MetricsSource

NEWEST_SCRAPE: Final = "time() - max(timestamp(up))"
STALE_AFTER_INTERVALS: Final = 3


def age_of_data(source: MetricsSource) -> timedelta | None:
    """Time since the newest scrape; None where nothing was scraped within Prometheus' look-back of five minutes."""
    found = source.instant(NEWEST_SCRAPE)
    return timedelta(seconds=max(found[0].value, 0.0)) if found else None


def require_fresh(source: MetricsSource, interval_seconds: int) -> timedelta:
    """The age, where it is at most three scrape intervals. Raises RemoteError, naming the region, otherwise."""
    age = age_of_data(source)
    if age is None:
        raise RemoteError(
            f"region {source.name}: Prometheus has measured nothing for five minutes",
            hint=f"see `vitalops status {source.name}`",
        )
    if age > timedelta(seconds=STALE_AFTER_INTERVALS * interval_seconds):
        raise RemoteError(
            f"region {source.name}: its newest measurement is {age.total_seconds():.0f} s old",
            hint=f"it should be {interval_seconds} s at most: see `vitalops status {source.name}`",
        )
    return age
