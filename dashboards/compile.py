"""All dashboards of a platform, as data and as Grafana's files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from dashboards.consultation_quality import consultation_quality_dashboard
from dashboards.drill import drill_dashboard
from dashboards.failover_pair import failover_pair_dashboard
from dashboards.load_test import load_test_dashboard
from dashboards.model import Dashboard
from dashboards.platform import platform_dashboard
from dashboards.region import region_dashboard
from dashboards.service import service_dashboard
from vitalops.model.platform import Platform

BUILDERS: Final[tuple[Callable[[Platform], Dashboard], ...]] = (
    platform_dashboard,
    region_dashboard,
    service_dashboard,
    consultation_quality_dashboard,
    failover_pair_dashboard,
    load_test_dashboard,
    drill_dashboard,
)


def dashboards_of(platform: Platform) -> tuple[Dashboard, ...]:
    """Every dashboard. Regions and services are variables in them: their number does not grow with the platform."""
    return tuple(builder(platform) for builder in BUILDERS)


def compile_dashboards(platform: Platform) -> Mapping[str, str]:
    """File name -> Grafana's JSON, the same for the same platform. Imports the SDK."""
    from dashboards.grafana.page import to_json

    return {f"{dashboard.slug}.json": to_json(dashboard) for dashboard in dashboards_of(platform)}
