"""A region's media servers as operations use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Call:
    """A running call: the media server's room. Names are the platform's own ids, never a person's."""

    room: str
    participants: int
    started: float
    """Seconds since the epoch."""


class RegionMedia(Protocol):
    """LiveKit of one region. Every method raises RemoteError."""

    @property
    def region(self) -> str: ...

    def calls(self) -> tuple[Call, ...]:
        """Calls with somebody in them."""
        ...
