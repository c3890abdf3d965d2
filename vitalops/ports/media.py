"""A region's media servers as operations use them, and their in-memory fake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vitalops.consultation.mode import CallMode

__all__ = ["Call", "CallMode", "CallModes", "FakeCallModes", "FakeMedia", "RegionMedia"]


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

    def limit(self, mode: CallMode) -> int:
        """Have those who are in calls now keep to `mode`: what they may not send is ended at the server.

        Returns how many participants it was said to. Idempotent. Calls themselves go on, in every mode.
        """
        ...

    def end(self, rooms: Sequence[str]) -> int:
        """End calls: everybody in them is disconnected. Returns how many there were. Idempotent."""
        ...


class CallModes(Protocol):
    """The mode in which a pair's calls begin, as its consultation service keeps it. Methods raise RemoteError."""

    def mode(self) -> CallMode: ...

    def set_mode(self, mode: CallMode) -> None:
        """Calls that begin from now on, and whoever comes back to one, keep to it. Idempotent."""
        ...


@dataclass(slots=True)
class FakeMedia:
    """The in-memory fake. Calls end when a test takes them out of `running`, or by `end`."""

    region: str
    running: dict[str, Call] = field(default_factory=dict[str, Call])
    limited: list[CallMode] = field(default_factory=list[CallMode])
    ended: list[str] = field(default_factory=list[str])
    asked: Callable[[], None] | None = None
    """Called at each look, for what happens meanwhile."""
    fails_with: Callable[[], Exception] | None = None

    def calls(self) -> tuple[Call, ...]:
        self._fail()
        if self.asked is not None:
            self.asked()
        return tuple(self.running.values())

    def limit(self, mode: CallMode) -> int:
        self._fail()
        self.limited.append(mode)
        return sum(call.participants for call in self.running.values())

    def end(self, rooms: Sequence[str]) -> int:
        self._fail()
        gone = [room for room in rooms if self.running.pop(room, None) is not None]
        self.ended.extend(gone)
        return len(gone)

    def _fail(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with()


@dataclass(slots=True)
class FakeCallModes:
    """The in-memory fake."""

    current: CallMode = CallMode.VIDEO
    set_to: list[CallMode] = field(default_factory=list[CallMode])

    def mode(self) -> CallMode:
        return self.current

    def set_mode(self, mode: CallMode) -> None:
        self.current = mode
        self.set_to.append(mode)
