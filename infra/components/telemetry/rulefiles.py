"""The rules of a region as ConfigMaps: as many as it takes, since one holds a mebibyte at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from infra.components.args import RegionArgs
from infra.components.kit import Manifest, config_map
from vitalops import conventions as c
from vitalops.errors import UsageError
from vitalops.slo.rules import compile_rules

MOST_BYTES: Final = 1_000_000
"""Of one ConfigMap's content: the API server's limit is 1 MiB for the whole object, and etcd's 1.5 MiB."""
MOST_MAPS: Final = 40
"""A pod's volumes are read by the kubelet one ConfigMap at a time: beyond this a region's rules are too many."""


def config_map_name(index: int) -> str:
    return f"prometheus-rules-{index}"


def packed(files: Mapping[str, str], region: str, limit: int = MOST_BYTES) -> tuple[dict[str, str], ...]:
    """The files in as few maps as it takes, in their order. Raises UsageError for what does not fit."""
    maps: list[dict[str, str]] = [{}]
    used = 0
    for name, text in files.items():
        size = len(name.encode()) + len(text.encode())
        if size > limit:
            raise UsageError(
                f"region {region}: the rules in {name} are {size} bytes long, {limit} fit",
                hint="declare fewer objectives for the service, or split it",
            )
        if used + size > limit:
            maps.append({})
            used = 0
        maps[-1][name] = text
        used += size
    if len(maps) > MOST_MAPS:
        raise UsageError(
            f"region {region}: its rules fill {len(maps)} ConfigMaps, {MOST_MAPS} can be mounted",
            hint="declare fewer objectives",
        )
    return tuple(maps)


def rule_maps(args: RegionArgs) -> list[Manifest]:
    """The ConfigMaps with the region's rules, compiled from platform.yaml."""
    return [
        config_map(
            config_map_name(index),
            c.NAMESPACE_TELEMETRY,
            args.stack,
            args.region,
            files,
            c.PROMETHEUS_SERVICE,
        )
        for index, files in enumerate(packed(compile_rules(args.platform, args.region), args.region))
    ]
