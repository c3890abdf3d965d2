"""Which regions a command acts on."""

from __future__ import annotations

from collections.abc import Iterable

from vitalops.errors import UsageError
from vitalops.model.platform import FailoverPair, Platform, Service
from vitalops.suggest import closest, shown


def default_regions(platform: Platform) -> tuple[str, ...]:
    """The regions of every pair that starts by default, in the file's order."""
    started = {region for pair in default_pairs(platform) for region in (pair.primary, pair.standby)}
    return tuple(name for name in platform.regions if name in started)


def default_pairs(platform: Platform) -> tuple[FailoverPair, ...]:
    """The pairs that start by default, in the file's order."""
    return tuple(pair for pair in platform.pairs.values() if pair.start_by_default)


def resolve_regions(platform: Platform, names: Iterable[str]) -> tuple[str, ...]:
    """The regions that the user named, each once, in the file's order; the default ones where none is named.

    A pair's name stands for both of its regions. Raises UsageError for a name that is neither.
    """
    wanted: set[str] = set()
    for name in names:
        pair = platform.pairs.get(name)
        if name in platform.regions:
            wanted.add(name)
        elif pair is not None:
            wanted |= {pair.primary, pair.standby}
        else:
            raise _unknown("region or pair", name, (*platform.regions, *platform.pairs))
    if not wanted:
        return default_regions(platform)
    return tuple(name for name in platform.regions if name in wanted)


def resolve_pair(platform: Platform, name: str | None) -> FailoverPair:
    """The pair that the user named, or the only one that starts by default.

    Raises UsageError for an unknown name, and when none is named and there is not exactly one default.
    """
    if name is not None:
        if name not in platform.pairs:
            raise _unknown("pair", name, platform.pairs)
        return platform.pairs[name]
    defaults = default_pairs(platform)
    if len(defaults) != 1:
        names = ", ".join(platform.pairs) or "none"
        raise UsageError("which pair is not clear", hint=f"name one of the platform's pairs: {names}")
    return defaults[0]


def pair_of(platform: Platform, region: str) -> FailoverPair | None:
    """The pair that `region` belongs to."""
    for pair in platform.pairs.values():
        if region in (pair.primary, pair.standby):
            return pair
    return None


def other_region(pair: FailoverPair, region: str) -> str:
    """The one of the pair's regions that `region` is not."""
    return pair.standby if region == pair.primary else pair.primary


def services_of(platform: Platform, pair: str) -> tuple[Service, ...]:
    """The services placed in a pair's regions, in the file's order."""
    return tuple(
        service for service in platform.services.values() if service.pairs is None or pair in service.pairs
    )


def _unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    everything = tuple(known)
    near = closest(name, everything)
    hint = f"did you mean {near!r}?" if near else ""
    return UsageError(f"unknown {kind} {shown(name)}; known: {', '.join(everything) or 'none'}", hint=hint)
