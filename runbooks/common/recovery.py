"""What the runbooks of backups have in common: which region of a pair writes."""

from __future__ import annotations

from vitalops.errors import RemoteError, UsageError
from vitalops.model.platform import FailoverPair, Platform
from vitalops.ports.running import RunningPlatform
from vitalops.suggest import closest, shown


def require_pair(platform: Platform, name: str) -> FailoverPair:
    """Raises UsageError for a name that is none."""
    if name not in platform.pairs:
        near = closest(name, tuple(platform.pairs))
        raise UsageError(
            f"there is no pair {shown(name)}",
            hint=f"did you mean {near!r}?" if near else f"known: {', '.join(platform.pairs)}",
        )
    return platform.pairs[name]


def writing_region(running: RunningPlatform, pair_name: str) -> str:
    """The region whose database is the primary, by its own word: what this machine remembers is asked first.

    Raises RemoteError where none of the pair's regions is.
    """
    pair = require_pair(running.platform, pair_name)
    first = running.active_region(pair)
    other = pair.standby if first == pair.primary else pair.primary
    reasons: list[str] = []
    for region in (first, other):
        try:
            archiving = running.backups(region).archiving()
        except RemoteError as error:
            reasons.append(error.message)
            continue
        if archiving is not None:
            return region
        reasons.append(f"{region} is no primary")
    raise RemoteError(f"pair {pair_name}: nobody writes: {'; '.join(reasons)}", hint="see: vitalops status")
