"""A region's database as operations use it: what it is, and the few things that may be done to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from vitalops.fencing.report import GuardReport
from vitalops.fencing.standing import Proof
from vitalops.model.failover import Replication


class DatabaseRole(StrEnum):
    """Of a region's Patroni cluster as a whole. `NONE`: no member leads."""

    PRIMARY = "primary"
    STANDBY = "standby"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a region knows of who may write in its pair. The higher token is the newer word."""

    active: str
    """The region that may write."""
    token: int
    """Fencing token of the operation that made it so."""
    replication: Replication
    """As it is meant at present: `degrade-to-async` changes it."""
    proof: Proof = Proof.NONE
    """How the operation knew that the other region is no danger."""
    spent: bool = True
    """Whether the proof has served for its one promotion."""


@dataclass(frozen=True, slots=True)
class Follower:
    """A member of the other region that streams from this one. Lag is as this region sees it."""

    name: str
    synchronous: bool
    lag_bytes: int
    lag_seconds: float


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """A region's database just now. Positions are LSNs as bytes."""

    region: str
    role: DatabaseRole
    writable: bool
    """Whether a write would be taken: a primary that is neither read-only nor fenced."""
    leader: str
    """Member that leads; empty where none does."""
    members: int
    running: int
    timeline: int
    position: int
    """Written by a primary; received and flushed by a standby."""
    replayed: int
    """By a standby; the same as `position` for a primary."""
    streaming: bool
    """Whether a standby receives from the other region."""
    followers: tuple[Follower, ...]
    """Of a primary: members of the other region."""
    waits_for: tuple[str, ...]
    """Members whose acknowledgement a commit waits for (synchronous_standby_names); empty where for none."""
    standing: Standing | None
    clock: float
    """The database's own time, seconds since the epoch: for the check of clock skew."""
    guard: GuardReport | None = None
    """What the region's guard says of itself."""
    peer: GuardReport | None = None
    """What the other region's guard last told this one; `peer_age` is for how many seconds that has been so."""
    peer_age: float = 0.0
    witness: GuardReport | None = None
    """The same, of the witness."""
    witness_age: float = 0.0

    @property
    def fenced(self) -> str:
        """Why the region takes no writes though it was the active one; empty where it is not fenced."""
        return self.guard.fenced if self.guard else ""

    @property
    def replication(self) -> Replication:
        """Of a primary, as it is: synchronous where its commits wait for the other region."""
        return Replication.SYNCHRONOUS if self.waits_for else Replication.ASYNCHRONOUS


class RegionDatabase(Protocol):
    """One region's Patroni cluster. Every method raises RemoteError, naming the region, where it is not reached.

    Methods that change something are idempotent, carry the operation's fencing token, and raise VitalopsError where the
    region has heard of a newer one.
    """

    @property
    def region(self) -> str: ...

    def state(self, timeout: float = 3.0) -> DatabaseState: ...

    def take_standing(self, standing: Standing, timeout: float = 5.0) -> DatabaseState:
        """Make the region know who may write. A region that is told that it is not itself fences itself.

        Returns its state just after. With the same standing again, nothing changes.
        """
        ...

    def promote(self, token: int, timeout: float) -> float:
        """Make the region's database a primary. Returns the seconds until it took writes."""
        ...

    def follow(self, token: int, timeout: float) -> str:
        """Make it a standby of the other region, rewinding what only it has. Returns how: `streaming`, `rewound`
        or `copied`."""
        ...

    def checkpoint(self, timeout: float) -> None:
        """Write everything out, so that a shutdown after it is short."""
        ...

    def replace_leader(self, token: int, timeout: float) -> str:
        """Make another member lead, or restart the only one. Returns the new leader."""
        ...

    def query(self, database: str, sql: str, timeout: float = 10.0) -> list[dict[str, str]]:
        """Rows of one read or maintenance statement as the superuser, values as text. Never of patient data."""
        ...


def split_between(states: Mapping[str, DatabaseState]) -> str:
    """Two regions that take writes, or that each name another region at the same token."""
    writing = sorted(name for name, state in states.items() if state.writable)
    if len(writing) > 1:
        at = ", ".join(f"{name} (timeline {states[name].timeline})" for name in writing)
        return f"two regions take writes: {at}"
    by_token: dict[int, set[str]] = {}
    for state in states.values():
        if state.standing:
            by_token.setdefault(state.standing.token, set()).add(state.standing.active)
    for token, named in by_token.items():
        if len(named) > 1:
            return (
                f"the regions disagree at token {token}: {' and '.join(sorted(named))} are both called active"
            )
    return ""
