"""What each program of the telemetry asks for. One table, so that the cost of a region's telemetry can be read off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from infra.components.args import RegionArgs
from vitalops import conventions as c
from vitalops.model.resources import Resources

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


# Prometheus holds the series of each pod that it scrapes, and those of pods that are gone for up to three hours. With
# nine services, soon after several rollouts, 157 MB were in use; the rest is room for queries and compactions.
_PROMETHEUS_BASE_MEBIBYTES: Final = 240
_PROMETHEUS_MEBIBYTES_A_POD: Final = 16


def size_of(program: str, args: RegionArgs) -> Resources:
    """What a program asks for in a region: the table's, but that Prometheus grows with the services."""
    if program != c.PROMETHEUS_SERVICE:
        return SIZES[program]
    pods = sum(service.replicas.maximum for service in args.services)
    memory = _PROMETHEUS_BASE_MEBIBYTES + _PROMETHEUS_MEBIBYTES_A_POD * pods
    return Resources(cpu=SIZES[program].cpu, memory=f"{memory}Mi")


def namespace_of(program: str) -> str:
    """Where a program of the table runs."""
    return c.NAMESPACE_AGENTS if program in _ON_EACH_NODE else c.NAMESPACE_TELEMETRY


def demands(namespace: str, args: RegionArgs) -> list[tuple[Resources, int]]:
    """What may run in a namespace of the telemetry: resources and how many of it."""
    return [
        (size_of(program, args), MOST_NODES if program in _ON_EACH_NODE else 1)
        for program in SIZES
        if namespace_of(program) == namespace
    ]
