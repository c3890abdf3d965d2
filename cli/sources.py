"""Which Prometheus answers for which region: the region's own through its API server, or those the user names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from vitalops.errors import UsageError
from vitalops.imports import one_thread_imports
from vitalops.model.platform import Platform
from vitalops.slo.status import Prometheus

if TYPE_CHECKING:
    from vitalops.ports.metrics import MetricsSource

_SCHEMES: Final = ("http://", "https://")


def sources(
    platform: Platform, regions: Sequence[str], named: Sequence[str], *, timeout: float = 30.0
) -> tuple[Prometheus, ...]:
    """One source for each of `regions`. `named` holds what --prometheus was given: `URL` or `REGION=URL`.

    A URL without a region answers for every region that has none of its own. Raises UsageError for what is neither.
    """
    own: dict[str, str] = {}
    common: list[str] = []
    for each in named:
        region, url = _split(each)
        if region is None:
            common.append(url)
        elif region not in platform.regions:
            raise UsageError(f"--prometheus: unknown region {region!r}; known: {', '.join(platform.regions)}")
        elif region not in regions:
            raise UsageError(f"--prometheus: {region} is not asked for", hint=f"add --region {region}")
        else:
            own[region] = url
    rest = tuple(region for region in regions if region not in own)
    if len(common) > 1 or (common and not rest):
        raise UsageError("--prometheus: more URLs than regions to ask them for", hint="give REGION=URL")
    made = [Prometheus(region, (region,), at_url(region, url, timeout)) for region, url in own.items()]
    if common:
        name = " and ".join(rest)
        return (*made, Prometheus(name, rest, at_url(name, common[0], timeout)))
    return (
        *made,
        *(Prometheus(region, (region,), through_region(platform, region, timeout)) for region in rest),
    )


def _split(given: str) -> tuple[str | None, str]:
    if given.startswith(_SCHEMES):
        return None, given
    region, _, url = given.partition("=")
    if not region or not url.startswith(_SCHEMES):
        raise UsageError(f"--prometheus: {given!r} is no URL", hint="give http://host:9090, or REGION=URL")
    return region, url


def at_url(name: str, url: str, timeout: float) -> Callable[[], MetricsSource]:
    def connect() -> MetricsSource:
        with one_thread_imports():
            import requests

        from vitalops.observe.prometheus import PrometheusMetrics

        return PrometheusMetrics(name, url.rstrip("/"), requests.Session(), timeout=timeout)

    return connect


def through_region(platform: Platform, region: str, timeout: float) -> Callable[[], MetricsSource]:
    def connect() -> MetricsSource:
        from infra.operations.observe import Backend, through
        from infra.program.access import connect as reach
        from vitalops.observe.prometheus import PrometheusMetrics
        from vitalops.paths import Paths

        found = through(reach(platform, Paths.from_environment(), region), Backend.PROMETHEUS)
        return PrometheusMetrics(region, found.base_url, found.session, timeout=timeout)

    return connect


def scrape_interval(platform: Platform) -> timedelta:
    return timedelta(seconds=platform.telemetry.scrape_interval_seconds)
