"""The setting that commands act with: what `up` gives the regions, every command that brings them up gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.operations.setting import Setting
    from vitalops.model.platform import Platform
    from vitalops.paths import Paths


def setting_of(platform: Platform, paths: Paths, regions: Sequence[str], engine: str = "auto") -> Setting:
    """With the dashboards, where the platform has a Grafana."""
    from infra.operations.setting import EngineChoice, Setting

    dashboards: Mapping[str, str] = {}
    if platform.telemetry.grafana is not None:
        from dashboards.compile import compile_dashboards

        dashboards = compile_dashboards(platform)
    return Setting(platform, paths, tuple(regions), EngineChoice(engine), dashboards)
