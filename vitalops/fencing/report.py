"""What a guard and a witness tell one another, as JSON over TLS: GET /v1/guard."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Final

GUARD_PATH: Final = "/v1/guard"
"""A guard says who it is: GET /v1/guard?from=REGION. What it is answered, renews its lease."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one place sees of another, now. `seconds` is for how long it has (or has not) been reached."""

    place: str
    reached: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class GuardReport:
    """One guard's word. `place` is its region, or `witness`."""

    pair: str
    place: str
    token: int
    active: str
    """Region that may write, as this place knows."""
    role: str
    """`primary`, `standby` or `none` of the region's database; empty for a witness."""
    writable: bool
    fenced: str
    """Why the region takes no writes though it was the active one; empty where it is not fenced."""
    replication: str
    """`synchronous` or `asynchronous`, as it is at present."""
    confirmed: bool
    """Of a primary in synchronous mode: that its commits do wait for the other region."""
    received: int
    """Of a standby: the LSN, in bytes, that it has flushed."""
    sees: tuple[Sight, ...]
    clock: float
    """Seconds since the epoch."""
    meant: str = ""
    """`synchronous` or `asynchronous`, as the standing says; empty where the place does not know."""
    waited: int = -1
    """Token at which the other region's guard last said, to this very process, that its commits wait for this region;
    -1 where it has not."""
    renewed: float = -1.0
    """Seconds since this place last answered the guard of the region that is not the asker's with leave to go on,
    counted from its own start where it never did; -1 where it keeps no count."""
    met: bool = True
    """Whether this region has ever heard of the other one."""
    position: int = 0
    """Of a primary: the LSN, in bytes, that it has written."""
    lease: float = 0.0
    """After so many seconds out of reach of everybody the region fences itself; 0 where it does not."""


def to_json(report: GuardReport) -> str:
    return json.dumps(asdict(report), separators=(",", ":"))


def from_json(text: str) -> GuardReport:
    """Fields that are not known yet are left out, those that are missing have their default.

    Raises ValueError for what is no report.
    """
    try:
        document = json.loads(text)
        known = {field.name for field in fields(GuardReport)}
        values = {name: value for name, value in document.items() if name in known}
        values["sees"] = tuple(
            Sight(str(sight["place"]), bool(sight["reached"]), float(sight["seconds"]))
            for sight in document.get("sees", ())
        )
        return GuardReport(**values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is no guard's report: {error}") from None
