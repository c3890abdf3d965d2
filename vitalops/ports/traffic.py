"""Leading a pair's clients to its active region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

MAXIMUM_HOLD_SECONDS: Final = 15.0
"""No request waits for longer, whatever is asked: clients give up about then."""


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

    def hold(self, seconds: float) -> bool:
        """Have new requests wait before anything of them is sent, until `switch`, at most so long; 0 lets them go.

        Returns whether it can. It ends by itself, so that nobody waits for an operator who is gone.
        """
        ...

    def lead_calls(self, region: str) -> bool:
        """Have calls that begin from now on run in `region`, whichever is active; "": in the active one. Idempotent.

        Calls that run stay. A `switch` ends it. Returns whether it can.
        """
        ...

    def calls_lead_to(self) -> str:
        """What `lead_calls` was last told; empty where calls follow the active region."""
        ...

    def sees(self) -> Mapping[str, bool]:
        """Whether it reaches each region's gateway, as its latest check says; without those not checked yet."""
        ...

    def fault(self) -> str:
        """What keeps clients from getting in by this way, in a line; empty where they do, to either region."""
        ...

    def repair(self, region: str) -> str:
        """Start what does not run, renew what has run out, and have it lead to `region`. Idempotent.

        Returns what was done, in a line; empty where nothing was to do.
        """
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
    held: list[float] = field(default_factory=list[float])
    calls: str = ""
    leads_calls: bool = True
    broken: str = ""
    """What `fault` says."""
    repairs: Callable[[], None] | None = None
    """What `repair` needs to succeed; where it raises, the fault stays."""
    repaired: int = 0
    fails_with: Callable[[], Exception] | None = None

    def active(self) -> str:
        self._fail()
        return self.region

    def switch(self, region: str) -> None:
        self._fail()
        self.region, self.calls = region, ""
        self.switched.append(region)

    def hold(self, seconds: float) -> bool:
        self._fail()
        self.held.append(seconds)
        return True

    def lead_calls(self, region: str) -> bool:
        self._fail()
        if self.leads_calls:
            self.calls = region
        return self.leads_calls

    def calls_lead_to(self) -> str:
        self._fail()
        return self.calls

    def sees(self) -> Mapping[str, bool]:
        self._fail()
        return self.reached

    def fault(self) -> str:
        return self.broken

    def repair(self, region: str) -> str:
        if not self.broken and self.region == region:
            return ""
        if self.repairs is not None:
            self.repairs()
        self.broken, self.fails_with = "", None
        self.repaired += 1
        if self.region != region:
            self.switch(region)
        return f"{self.name} mended"

    def delay_seconds(self) -> float:
        return 0.0

    def _fail(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with()
