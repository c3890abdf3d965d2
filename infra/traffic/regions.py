"""Which regions a pair's clients may be led to."""

from __future__ import annotations

from vitalops.errors import UsageError
from vitalops.model.platform import FailoverPair


def require_region(pair: FailoverPair, region: str) -> None:
    """Raises UsageError for a region that is not the pair's."""
    if region not in (pair.primary, pair.standby):
        raise UsageError(
            f"{region} is no region of pair {pair.name}", hint=f"{pair.primary} or {pair.standby}"
        )
