"""What each program of the telemetry asks for. One table, so that the cost of a region's telemetry can be read off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vitalops import conventions as c
from vitalops.model.platform import Resources

MOST_NODES: Final = 50
"""What runs once on each node is allowed for this many by the quotas."""

SIZES: Final[Mapping[str, Resources]] = {
    c.PROMETHEUS_SERVICE: Resources(cpu="100m", memory="384Mi"),
    c.ALERTMANAGER_SERVICE: Resources(cpu="10m", memory="96Mi"),
    c.TRACES_SERVICE: Resources(cpu="50m", memory="192Mi"),
    c.LOGS_SERVICE: Resources(cpu="50m", memory="320Mi"),
    c.COLLECTOR: Resources(cpu="25m", memory="128Mi"),
    c.PROBER: Resources(cpu="25m", memory="256Mi"),
    c.GRAFANA_SERVICE: Resources(cpu="25m", memory="256Mi"),
}
"""Requests and memory limits, above what is used at rest: a query or a compaction needs room for a moment."""

_ON_EACH_NODE: Final = frozenset({c.COLLECTOR})


def namespace_of(program: str) -> str:
    """Where a program of the table runs."""
    return c.NAMESPACE_AGENTS if program in _ON_EACH_NODE else c.NAMESPACE_TELEMETRY


def demands(namespace: str) -> list[tuple[Resources, int]]:
    """What may run in a namespace of the telemetry: resources and how many of it."""
    return [
        (size, MOST_NODES if program in _ON_EACH_NODE else 1)
        for program, size in SIZES.items()
        if namespace_of(program) == namespace
    ]
