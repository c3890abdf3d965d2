"""The in-memory fake of a pair's two databases: roles, standings, tokens and replication, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vitalops.errors import RemoteError, UsageError
from vitalops.fencing.report import GuardReport, Sight
from vitalops.fencing.standing import Proof
from vitalops.model.failover import Replication
from vitalops.ports.clock import Clock, FakeClock
from vitalops.ports.database import DatabaseRole, DatabaseState, Follower, Standing


@dataclass(slots=True)
class FakeDatabase:
    """One region's. `done` lists what was done to it, in order, for tests to count.

    It behaves as a guarded one: told that it is not the active region it fences itself at once, a stale token is
    refused, and it is promoted only by the token that stands and by a proof that has not been used.
    """

    name: str
    pair: FakePair
    role: DatabaseRole = DatabaseRole.STANDBY
    standing: Standing | None = None
    position: int = 1000
    timeline: int = 1
    names: bool = False
    """Whether commits wait for the other region."""
    waited: int = -1
    renewed: float = 60.0
    lease: float = 0.0
    members: int = 1
    leader: str = ""
    starts: int = 0
    """How often its PostgreSQL was started anew."""
    skew: float = 0.0
    met: bool = True
    lost: bool = False
    stubborn: bool = False
    """Takes writes although it is told not to."""
    fails_to_promote: bool = False
    unreplicated: int = 0
    """Bytes that only this region has: it must be rewound before it follows."""
    done: list[str] = field(default_factory=list[str])

    @property
    def region(self) -> str:
        return self.name

    @property
    def other(self) -> FakeDatabase:
        return self.pair.other(self)

    def state(self, timeout: float = 3.0) -> DatabaseState:
        del timeout
        self._reached()
        other = self.other
        writable = self.role is DatabaseRole.PRIMARY
        follows = not other.lost and other.role is DatabaseRole.STANDBY and not other.unreplicated
        behind = max(self.position - other.position, 0)
        followers = (
            (Follower(f"postgres-{other.name}-0", self.names, behind, 0.0),) if writable and follows else ()
        )
        return DatabaseState(
            region=self.name,
            role=self.role,
            writable=writable,
            leader=self.leader or f"postgres-{self.name}-0",
            members=self.members,
            running=self.members,
            timeline=self.timeline,
            position=self.position,
            replayed=self.position,
            streaming=self.role is DatabaseRole.STANDBY
            and other.role is DatabaseRole.PRIMARY
            and not other.lost,
            followers=followers,
            waits_for=(f"postgres-{other.name}-0",) if writable and self.names else (),
            standing=self.standing,
            clock=self.pair.clock.now().timestamp() + self.skew,
            guard=self._report(),
            peer=replace(other._report(), lease=other.lease) if other.heard or not other.lost else None,
            witness=self.pair.witness,
        )

    @property
    def heard(self) -> bool:
        """Whether the other region's guard has heard of this one since it started."""
        return self.other.waited >= 0 or self.lease > 0

    def take_standing(self, standing: Standing, timeout: float = 5.0) -> DatabaseState:
        del timeout
        self._reached()
        known = self.standing
        if known and (
            standing.token < known.token
            or (standing.token == known.token and standing.active != known.active)
        ):
            raise UsageError(
                f"region {self.name} knows of a newer standing: {known.active} by token {known.token}"
            )
        if known == standing:
            return self.state()
        if known and known.token == standing.token and standing.proof is Proof.NONE:
            return self.state()
        self.done.append(f"standing {standing.active} {standing.proof}")
        self.standing = standing
        if standing.active != self.name and self.role is DatabaseRole.PRIMARY and not self.stubborn:
            self.role = DatabaseRole.STANDBY
        if standing.active == self.name and self.role is DatabaseRole.PRIMARY:
            self.names = standing.replication is Replication.SYNCHRONOUS and not self.other.lost
        if self.waited != standing.token:
            self.waited = -1
        if self.pair.witness is not None:
            self.pair.witness = replace(self.pair.witness, token=standing.token, active=standing.active)
        return self.state()

    def promote(self, token: int, timeout: float) -> float:
        self._reached()
        standing = self.standing
        if standing is None or standing.active != self.name or standing.token != token:
            raise UsageError(f"region {self.name} is not active by token {token}")
        if self.role is DatabaseRole.PRIMARY:
            return 0.0
        if standing.proof is Proof.NONE or standing.spent or self.fails_to_promote:
            raise RemoteError(f"region {self.name}: its database took no writes within {timeout:g} s")
        self.done.append("promote")
        self.standing = replace(standing, spent=True)
        self.role, self.timeline, self.names = DatabaseRole.PRIMARY, self.timeline + 1, False
        return 0.25

    def follow(self, token: int, timeout: float) -> str:
        self._reached()
        if self.standing is None or self.standing.token != token or self.standing.active == self.name:
            raise UsageError(f"region {self.name} is no standby by token {token}")
        how = "rewound" if self.unreplicated else "streaming"
        self.done.append(f"follow {how}")
        self.unreplicated, self.role = 0, DatabaseRole.STANDBY
        self.position, self.timeline = self.other.position, self.other.timeline
        return how

    def checkpoint(self, timeout: float) -> None:
        self._reached()
        self.done.append("checkpoint")

    def replace_leader(self, token: int, timeout: float) -> str:
        self._reached()
        before = self.leader or f"postgres-{self.name}-0"
        self.leader = before if self.members == 1 else f"postgres-{self.name}-1"
        self.done.append("replace leader")
        self.starts += 1
        return self.leader

    def query(self, database: str, sql: str, timeout: float = 10.0) -> list[dict[str, str]]:
        self._reached()
        self.done.append(f"query {database}")
        if "pg_postmaster_start_time" in sql:
            return [{"started": f"2026-01-01 00:00:{self.starts:02}+00"}]
        return []

    def _report(self) -> GuardReport:
        standing = self.standing
        writable = self.role is DatabaseRole.PRIMARY
        return GuardReport(
            pair=self.pair.name,
            place=self.name,
            token=standing.token if standing else -1,
            active=standing.active if standing else "",
            role=self.role.value,
            writable=writable,
            fenced="",
            replication="synchronous" if self.names else "asynchronous",
            confirmed=writable and self.names,
            received=0 if writable else self.position,
            sees=(Sight("witness", True, 60.0),) if self.pair.witness else (),
            clock=self.pair.clock.now().timestamp(),
            waited=self.waited,
            renewed=self.renewed,
            met=self.met,
            position=self.position if writable else 0,
            lease=self.lease,
        )

    def _reached(self) -> None:
        if self.lost:
            raise RemoteError(f"region {self.name} does not answer")


class FakePair:
    """Two databases that replicate: the first is active, and its commits wait for the second."""

    def __init__(self, active: str, standby: str, clock: Clock | None = None, name: str = "france") -> None:
        self.name, self.clock = name, clock or FakeClock()
        self.witness: GuardReport | None = None
        standing = Standing(active, 0, Replication.SYNCHRONOUS)
        self.active = FakeDatabase(active, self, DatabaseRole.PRIMARY, standing, names=True)
        self.standby = FakeDatabase(standby, self, DatabaseRole.STANDBY, standing, waited=0)

    def other(self, one: FakeDatabase) -> FakeDatabase:
        return self.standby if one is self.active else self.active

    @property
    def databases(self) -> Mapping[str, FakeDatabase]:
        return {self.active.name: self.active, self.standby.name: self.standby}

    @property
    def writing(self) -> list[str]:
        """Regions that take writes."""
        return [name for name, each in self.databases.items() if each.role is DatabaseRole.PRIMARY]
