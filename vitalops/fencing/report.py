"""What a guard and a witness tell one another, as JSON over TLS: GET /v1/guard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GUARD_PATH: Final = "/v1/guard"


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
