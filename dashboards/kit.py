"""PromQL by pieces, and the choices at the top of dashboards: so that all panels ask in the same way."""

from __future__ import annotations

from typing import Final

from dashboards import names
from dashboards.annotations import FIRING
from dashboards.model import Choice, Variable
from vitalops import conventions as c
from vitalops.slo import promql

IN_REGION: Final = f'{c.METRIC_REGION}=~"$region"'
OF_SERVICE: Final = f'{c.METRIC_SERVICE}=~"$service"'
OF_TRAFFIC: Final = f'{c.METRIC_TRAFFIC}=~"$traffic"'

REGION: Final = Variable("region", "Region", f'{names.UP}{{{c.METRIC_REGION}!=""}}', c.METRIC_REGION)
REGIONS: Final = Variable("region", "Region", REGION.series, c.METRIC_REGION, every=True)
SERVICE: Final = Variable(
    "service", "Service", f'{names.UP}{{job="{c.JOB_SERVICES}",{IN_REGION}}}', c.METRIC_SERVICE
)
TRAFFIC: Final = Choice(
    "traffic",
    "Traffic",
    (("all", ".*"), ("real", c.TRAFFIC_REAL), ("synthetic", c.TRAFFIC_SYNTHETIC)),
)
WINDOW: Final = Choice(
    "window", "Summed over", tuple((each, each) for each in ("15m", "5m", "1h", "6h", "1d"))
)
"""For what is too rare to be looked at by the minute."""

RATE: Final = "$__rate_interval"
"""Grafana's own: long enough for a rate at the panel's resolution and the data source's scrape interval."""

SLOW_RATE: Final = "2m"
"""For what is scraped more slowly than the data source's interval says: the clusters' own parts, such as kubelets."""


def series(metric: str, *conditions: str) -> str:
    """A metric's series under conditions such as IN_REGION."""
    return promql.selector(metric, None, *conditions)


def rate(metric: str, *conditions: str, window: str = RATE) -> str:
    return f"rate({series(metric, *conditions)}[{window}])"


def increase(metric: str, *conditions: str, window: str = RATE) -> str:
    return f"increase({series(metric, *conditions)}[{window}])"


def total(expr: str, *by: str) -> str:
    return f"sum by ({', '.join(by)}) ({expr})" if by else f"sum({expr})"


def share(part: str, whole: str) -> str:
    """`part` of `whole`, both sums over the same labels. Nothing of nothing is nothing, not a number."""
    return f"{part} / ({whole} > 0)"


def quantile(q: float, histogram: str, *conditions: str, by: tuple[str, ...] = (), window: str = RATE) -> str:
    """`q` is from 0 to 1; estimated within the histogram's buckets."""
    buckets = rate(f"{histogram}_bucket", *conditions, window=window)
    return f"histogram_quantile({q:g}, {total(buckets, 'le', *by)})"


def mean(histogram: str, *conditions: str, by: tuple[str, ...] = (), window: str = RATE) -> str:
    whole = total(rate(f"{histogram}_count", *conditions, window=window), *by)
    return share(total(rate(f"{histogram}_sum", *conditions, window=window), *by), whole)


def firing(*conditions: str) -> str:
    """How many alerts fire. Zero only while the alert that always fires does: silence of the rules is no zero."""
    alerts = FIRING.removesuffix("}") + "".join(f",{each}" for each in conditions) + "}"
    watchdog = series("ALERTS", f'alertname="{c.ALERT_WATCHDOG}"', 'alertstate="firing"')
    return f"count({alerts}) or 0 * max({watchdog})"
