"""The ways to the regions' logs and traces; nothing is asked before a way is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.operations.observe import Backend, Endpoint
    from vitalops.model.platform import Platform
    from vitalops.observe.logs import LogSource
    from vitalops.observe.traces import TraceSource


def log_sources(platform: Platform, regions: Sequence[str]) -> Mapping[str, Callable[[], LogSource]]:
    def way(region: str) -> Callable[[], LogSource]:
        def connect() -> LogSource:
            from infra.operations.observe import Backend
            from vitalops.observe.logs import LokiLogs

            found = _endpoint(platform, region, Backend.LOGS)
            return LokiLogs(region, found.base_url, found.session)

        return connect

    return {region: way(region) for region in regions}


def trace_sources(platform: Platform, regions: Sequence[str]) -> Mapping[str, Callable[[], TraceSource]]:
    def way(region: str) -> Callable[[], TraceSource]:
        def connect() -> TraceSource:
            from infra.operations.observe import Backend
            from vitalops.observe.traces import JaegerTraces

            found = _endpoint(platform, region, Backend.TRACES)
            return JaegerTraces(region, found.base_url, found.session)

        return connect

    return {region: way(region) for region in regions}


def _endpoint(platform: Platform, region: str, backend: Backend) -> Endpoint:
    from infra.operations.observe import through
    from infra.program.access import connect
    from vitalops.paths import Paths

    return through(connect(platform, Paths.from_environment(), region), backend)
