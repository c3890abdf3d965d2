"""Leading a pair's clients to its active region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class TrafficDirector(Protocol):
    """One way by which clients reach a pair: its edge, or a DNS name. Every method raises RemoteError."""

    @property
    def name(self) -> str:
        """As messages name it: `edge france`, `dns visits.example.org`."""
        ...

    def active(self) -> str:
        """Region to which new requests go now; empty where that is not one of the pair's."""
        ...

    def switch(self, region: str) -> None:
        """Send new requests to `region`. What runs already (calls) stays where it is. Idempotent."""
        ...

    def sees(self) -> Mapping[str, bool]:
        """Regions whose gateway it reaches, as its own health checks say; empty where it has none."""
        ...

    def delay_seconds(self) -> float:
        """How long clients may go on where they were after a switch: a DNS record's time to live."""
        ...


@dataclass(slots=True)
class FakeDirector:
    """The in-memory fake."""

    name: str = "fake edge"
    region: str = ""
    reached: dict[str, bool] = field(default_factory=dict[str, bool])
    switched: list[str] = field(default_factory=list[str])

    def active(self) -> str:
        return self.region

    def switch(self, region: str) -> None:
        self.region = region
        self.switched.append(region)

    def sees(self) -> Mapping[str, bool]:
        return self.reached

    def delay_seconds(self) -> float:
        return 0.0
