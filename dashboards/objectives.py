"""What dashboards say of objectives: the recorded series, and lines drawn where the platform's own SLIs draw them."""

from __future__ import annotations

from collections.abc import Iterable

from dashboards.kit import series
from dashboards.model import Colour, Line
from vitalops import conventions as c
from vitalops.model.platform import Platform
from vitalops.model.slo import LatencySli
from vitalops.slo.promql import matcher
from vitalops.slo.windows import Window, bundled_windows

SLO_LABELS = (c.METRIC_SLO, c.METRIC_SERVICE, c.METRIC_SLI, c.METRIC_REGION)


def burn(window: str, *conditions: str) -> str:
    """How many times faster than allowed the budget is being spent, over `window`: 1 spends it in its whole period.

    The objective says which traffic counts towards it: of the other there is no burn.
    """
    by = ", ".join((*SLO_LABELS, c.METRIC_TRAFFIC))
    errors = series(f"{c.RECORD_RATIO}{window}", *conditions)
    objective = series(c.RECORD_OBJECTIVE, *conditions)
    return f"max by ({by}) ({errors}) / on ({by}) (1 - max by ({by}) ({objective}))"


def burn_lines(platform: Platform, *windows: Window) -> tuple[Line, ...]:
    """Where alerts of these windows begin, of all where none is given. It depends on how long a tier's budget lasts."""
    found = {
        window.burn(tier.window_days): Colour.BAD if window.severity == c.SEVERITY_PAGE else Colour.WARNING
        for tier in platform.tiers.values()
        for window in windows or bundled_windows().all
    }
    return tuple(Line(value, colour) for value, colour in sorted(found.items()))


def fastest() -> str:
    """The long window in which burn is seen first."""
    return min(bundled_windows().all, key=lambda window: window.long).long_name


def slowest() -> str:
    return bundled_windows().longest.long_name


def left(*conditions: str) -> str:
    """Share of the budget that is left; below 0 where it is overspent."""
    return f"min by ({', '.join(SLO_LABELS)}) ({series(c.RECORD_BUDGET_LEFT, *conditions)})"


def limits_of(platform: Platform, histogram: str) -> tuple[Line, ...]:
    """The thresholds, in seconds, that the platform's latency SLIs set on a histogram."""
    found = {
        sli.threshold_ms / 1000
        for sli in platform.slis.values()
        if isinstance(sli, LatencySli) and sli.histogram.metric == histogram
    }
    return tuple(Line(value, Colour.BAD) for value in sorted(found))


def counted_by(platform: Platform, histogram: str) -> tuple[str, ...]:
    """The conditions under which the platform's latency SLIs count events of a histogram, but for the service."""
    for sli in platform.slis.values():
        if isinstance(sli, LatencySli) and sli.histogram.metric == histogram:
            chosen, left_out = sli.histogram.labels.items(), sli.histogram.without.items()
            return (
                *(matcher(label, values) for label, values in chosen if label != c.METRIC_SERVICE),
                *(matcher(label, values, equal=False) for label, values in left_out),
            )
    return ()


def runbooks(platform: Platform, slis: Iterable[str] | None = None) -> str:
    """Markdown: which runbook answers alerts of which SLI."""
    names = tuple(platform.slis) if slis is None else tuple(slis)
    rows = [
        f"| {name} | {platform.slis[name].description} | `{platform.slis[name].runbook}` |" for name in names
    ]
    return "\n".join(["| SLI | good is | runbook |", "|---|---|---|", *rows])
