"""Which objectives of which regions a command is about."""

from __future__ import annotations

from collections.abc import Sequence

from vitalops.errors import UsageError
from vitalops.model.platform import Platform
from vitalops.model.selection import default_regions, pair_of, resolve_pair, resolve_regions
from vitalops.slo.objectives import objectives_of
from vitalops.slo.status import Scope
from vitalops.suggest import closest


def scopes_of(
    platform: Platform, regions: Sequence[str] | None, pair: str | None, service: str | None
) -> tuple[Scope, ...]:
    """What lines speak of: pairs, their regions joined; regions that were named stand alone.

    Raises UsageError for names that the platform has not.
    """
    require_service(platform, service)
    if regions and pair:
        raise UsageError("--region and --pair exclude one another")

    def scope(name: str, *members: str) -> Scope:
        slos = objectives_of(platform, pair_of(platform, members[0]))
        return Scope(name, members, tuple(slo for slo in slos if service in (None, slo.service)))

    if regions:
        if unknown := [name for name in regions if name in platform.pairs]:
            raise UsageError(f"{unknown[0]} is a pair", hint=f"use --pair {unknown[0]}")
        return tuple(scope(name, name) for name in resolve_regions(platform, regions))
    wanted = default_regions(platform)
    pairs = [resolve_pair(platform, pair)] if pair else list(platform.pairs.values())
    joined = [each for each in pairs if pair or {each.primary, each.standby} <= set(wanted)]
    return tuple(scope(each.name, each.primary, each.standby) for each in joined)


def require_service(platform: Platform, service: str | None) -> None:
    """Raises UsageError for a service that the platform has not."""
    if service is not None and service not in platform.services:
        near = closest(service, tuple(platform.services))
        raise UsageError(
            f"unknown service {service!r}; known: {', '.join(platform.services)}",
            hint=f"did you mean {near!r}?" if near else "",
        )
