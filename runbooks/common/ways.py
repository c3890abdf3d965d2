"""The ways by which a pair's clients get in, looked at together."""

from __future__ import annotations

from vitalops.errors import RemoteError, UsageError
from vitalops.model.platform import FailoverPair, Platform
from vitalops.ports.running import RunningPlatform
from vitalops.ports.traffic import TrafficDirector
from vitalops.suggest import suggestion


def pair_named(platform: Platform, name: str) -> FailoverPair:
    """Raises UsageError for a pair that there is not."""
    if name not in platform.pairs:
        raise UsageError(f"there is no pair {name}", hint=suggestion(name, tuple(platform.pairs)))
    return platform.pairs[name]


def fault_of(way: TrafficDirector, region: str) -> str:
    """Why clients do not get to `region` by this way; empty where they do."""
    if fault := way.fault():
        return fault
    try:
        leads = way.active()
    except RemoteError as error:
        return error.message
    return "" if leads == region else f"it leads to {leads or 'neither region'}, not to {region}"


def faults(running: RunningPlatform, pair: FailoverPair, region: str) -> dict[str, str]:
    """What is wrong with each way in, by its name."""
    return {way.name: fault_of(way, region) for way in running.directors(pair)}


def seen(running: RunningPlatform, pair: FailoverPair) -> dict[str, bool]:
    """Which gateways the ways in reach; without regions that none of them can tell of."""
    found: dict[str, bool] = {}
    for way in running.directors(pair):
        try:
            sights = way.sees()
        except RemoteError:
            continue
        for region, reached in sights.items():
            found[region] = found.get(region, False) or reached
    return found
