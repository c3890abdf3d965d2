"""What calls may be. Apart from everything else: clients know it as well as operations do."""

from __future__ import annotations

from enum import StrEnum


class CallMode(StrEnum):
    """What calls may be, the best first: each rung asks less of the network and of the media servers."""

    VIDEO = "video"
    LOW = "low"
    """Small pictures, few a second."""
    AUDIO = "audio"
    """Nobody sends pictures."""
    CALLBACK = "callback"
    """No call begins: the practitioner telephones, and the patient is told so."""

    @property
    def rung(self) -> int:
        """0 for video, 3 for callback."""
        return tuple(CallMode).index(self)

    def down(self) -> CallMode:
        """The next rung; callback has none below."""
        return tuple(CallMode)[min(self.rung + 1, len(CallMode) - 1)]

    def up(self) -> CallMode:
        return tuple(CallMode)[max(self.rung - 1, 0)]
