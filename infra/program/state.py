"""Which region of a pair is active: the one whose database is the primary and that the edge sends clients to.

Written by `up` once and changed by failover operations only; kept beside the secrets, outside the repository.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from vitalops.errors import VitalopsError
from vitalops.model.platform import FailoverPair


def _file(state: Path, platform: str, pair: str) -> Path:
    return state / "pairs" / platform / f"{pair}.json"


def active_region(state: Path, platform: str, pair: FailoverPair) -> str:
    """The pair's active region: its primary until an operation says otherwise.

    Raises VitalopsError for a file that names a region which is not the pair's.
    """
    path = _file(state, platform, pair.name)
    try:
        active = str(json.loads(path.read_text())["active"])
    except FileNotFoundError:
        return pair.primary
    except (OSError, ValueError, KeyError) as error:
        raise VitalopsError(
            f"{path} cannot be read: {error}", hint="remove it to make the primary active"
        ) from None
    if active not in (pair.primary, pair.standby):
        raise VitalopsError(
            f"{path}: {active!r} is not a region of {pair.name}", hint=f"{pair.primary} or {pair.standby}"
        )
    return active


def set_active_region(state: Path, platform: str, pair: FailoverPair, region: str) -> None:
    """Make `region` the active one, atomically."""
    path = _file(state, platform, pair.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.new")
    temporary.write_text(json.dumps({"active": region}) + "\n")
    temporary.replace(path)
