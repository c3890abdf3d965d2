"""A pair of regions in memory: real guards; PostgreSQL, Patroni, the network and the operators are simulated.

Time goes in steps. Everything that can fail can fail between any two steps. `acknowledging` says which regions could
acknowledge a write just now: the property that everything is about is that there is never more than one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from vitalops.errors import RemoteError, UsageError
from vitalops.fencing.machine import Leave, lease_over
from vitalops.fencing.report import GuardReport, Sight
from vitalops.fencing.standing import ASYNCHRONOUS, SYNCHRONOUS, PairStanding, Proof
from vitalops.guard import patroni
from vitalops.guard.fakes import FakeConfigMaps
from vitalops.guard.guard import Guard
from vitalops.guard.keeper import Keeper
from vitalops.guard.patroni import PatroniConfig
from vitalops.guard.postgres import NOBODY, Follower, Look
from vitalops.guard.settings import GuardSettings

STEP: Final = 0.5
CONFIG: Final = "vitalops-config"
A, B = "fr-par", "fr-gra"


def settings_of(region: str, lease: float | None = None, replication: str = SYNCHRONOUS) -> GuardSettings:
    peer = B if region == A else A
    return GuardSettings(
        pair="france",
        region=region,
        peer=peer,
        home=region == A,
        peer_address="10.201.0.1:30444",
        witness_address="10.201.0.2:7443",
        replication=replication,
        lease_seconds=lease,
        member=f"postgres-{region}-0",
        peer_members=(f"postgres-{peer}-0",),
        upstream={"host": "10.201.0.1", "port": 30432},
        required={"primary_start_timeout": 0},
        namespace="vitalops-data",
        standing_name="pair-standing",
        patroni_config_name=CONFIG,
        authority_file="",
        certificate_file="",
        key_file="",
        data_folder="",
        socket_folder="",
        port=8009,
        local_port=8010,
        patroni_port=8008,
        user="postgres",
        password="",
        rest_user="patroni",
        rest_password="",
    )


def silent(event: str, **facts: Any) -> None:
    del event, facts


@dataclass
class FakePostgres:
    """`vitalops.guard.postgres.Database`, and what Patroni does with it."""

    region: str
    names: str = ""
    role: str = "none"
    streams: bool = False
    """Of a standby: whether it receives. Of a primary: whether its peer does."""
    stopped: list[bool] = field(default_factory=list[bool])
    alive: bool = True

    def look(self) -> Look:
        if not self.alive or self.role == "none":
            return NOBODY
        peer = B if self.region == A else A
        follower = Follower(f"postgres-{peer}-0", True, self.names != "", 0, 0.0)
        return Look(
            self.role,
            names=self.names if self.role == "primary" else "",
            position=100,
            replayed=100,
            timeline=1,
            streaming=self.role == "standby" and self.streams,
            followers=(follower,) if self.role == "primary" and self.streams else (),
        )

    def query(self, database: str, sql: str, seconds: float) -> list[dict[str, str]]:
        return []

    def stop(self, hard: bool) -> None:
        self.stopped.append(hard)
        self.role = "none"

    def came_by(self, since: float) -> str:
        return ""


@dataclass
class Region:
    """One region. `guard` is None while its process does not run."""

    name: str
    lease: float | None
    replication: str
    world: World
    maps: FakeConfigMaps = field(default_factory=FakeConfigMaps)
    guard: Guard | None = None
    postgres: FakePostgres = field(init=False)
    patroni_runs: bool = True

    def __post_init__(self) -> None:
        self.postgres = FakePostgres(self.name)
        config: dict[str, Any] = {"postgresql": {"parameters": {}}}
        if self.name == B:
            config["standby_cluster"] = {"host": "10.201.0.1", "port": 30432}
        self.maps.create(
            {"metadata": {"name": CONFIG, "annotations": {"config": json.dumps(config)}}, "data": {}}
        )
        self.start_guard()

    @property
    def config(self) -> dict[str, Any]:
        return dict(json.loads(self.maps.objects[CONFIG]["metadata"]["annotations"]["config"]))

    @property
    def standing(self) -> PairStanding:
        if "pair-standing" not in self.maps.objects:
            raise RemoteError(f"{self.name} knows no standing yet")
        return PairStanding.from_data(self.maps.objects["pair-standing"]["data"])

    def start_guard(self) -> None:
        self.guard = Guard(
            settings_of(self.name, self.lease, self.replication),
            Keeper(self.maps, "pair-standing"),
            PatroniConfig(self.maps, CONFIG),
            self.postgres,
            silent,
            monotonic=lambda: self.world.now,
            wall=lambda: 1_767_225_600 + self.world.now,
        )

    def off(self) -> None:
        """The plug is pulled."""
        self.guard = None
        self.patroni_runs = False
        self.postgres.alive, self.postgres.role = False, "none"

    def on(self) -> None:
        if self.guard is None:
            self.start_guard()
        self.patroni_runs = True
        self.postgres.alive = True

    @property
    def is_off(self) -> bool:
        return self.guard is None and not self.patroni_runs and self.postgres.role == "none"

    def patroni(self) -> None:
        """One round of Patroni: demotes, starts as a standby, or promotes with the guard's leave."""
        if not self.patroni_runs or self.maps.lost:
            return
        config, database = self.config, self.postgres
        follows = patroni.follows(config)
        if database.role == "primary":
            if follows:
                database.role = "none"
        elif database.role == "none":
            database.role = "standby"
        elif (
            not follows
            and self.guard is not None
            and self.guard.permit().leave is Leave.YES
            and not patroni.follows(self.config)
        ):
            database.role = "primary"
        database.names = patroni.names_in(self.config)


class World:
    """The pair, the witness, and the lines between them."""

    def __init__(
        self, lease: float | None = None, replication: str = SYNCHRONOUS, witness: bool = True
    ) -> None:
        self.now = 0.0
        self.cut: set[frozenset[str]] = set()
        """Lines that carry nothing."""
        self.regions = {name: Region(name, lease, replication, self) for name in (A, B)}
        self.witness: GuardReport | None = None
        self.witness_gave = dict.fromkeys((A, B), 0.0)
        """When each region was last given leave."""
        self.witness_sees: dict[str, float] = {}
        self.witness_runs = witness
        self.tokens = 0

    def reaches(self, one: str, other: str) -> bool:
        return frozenset((one, other)) not in self.cut

    def settle(self, steps: int = 12) -> None:
        for _ in range(steps):
            self.step()

    def step(self, order: tuple[str, ...] = (A, B)) -> None:
        """Half a second in which nothing else happens."""
        self.now += STEP
        self.replicate()
        if self.witness_runs:
            self.watch()
        for name in order:
            self.poll(name)
            guard = self.regions[name].guard
            if guard is not None:
                guard.tick()
        for name in order:
            self.regions[name].patroni()
        self.replicate()

    def replicate(self) -> None:
        for name, other in ((A, B), (B, A)):
            standby, primary = self.regions[name].postgres, self.regions[other].postgres
            streams = standby.role == "standby" and primary.role == "primary" and self.reaches(A, B)
            if standby.role == "standby":
                standby.streams = streams and patroni.follows(self.regions[name].config)
            if primary.role == "primary":
                primary.streams = streams and standby.streams

    def poll(self, name: str) -> None:
        """A guard asks the other one and the witness."""
        guard, peer = self.regions[name].guard, B if name == A else A
        if guard is None:
            return
        other = self.regions[peer].guard
        said_by_peer = other.answer(name) if other is not None and self.reaches(A, B) else None
        if said_by_peer is not None:
            guard.heard(said_by_peer, self.now)
        else:
            guard.missed(peer)
        said = self.witness_says(name)
        if said is not None:
            guard.heard(said, self.now)
        else:
            guard.missed("witness")

    def watch(self) -> None:
        """The witness asks both guards and believes the higher token."""
        for name, region in self.regions.items():
            if region.guard is None or not self.reaches("witness", name):
                continue
            report = region.guard.report("")
            self.witness_sees[name] = self.now
            if report.active and (self.witness is None or report.token > self.witness.token):
                self.witness = report

    def witness_says(self, asker: str) -> GuardReport | None:
        if not self.witness_runs or self.witness is None or not self.reaches("witness", asker):
            return None
        known = self.witness
        if asker == known.active:
            self.witness_gave[asker] = self.now
        return GuardReport(
            pair="france",
            place="witness",
            token=known.token,
            active=known.active,
            role="",
            writable=False,
            fenced="",
            replication="",
            confirmed=False,
            received=0,
            sees=tuple(
                Sight(name, self.now - at <= 1.0, self.now - at) for name, at in self.witness_sees.items()
            ),
            clock=0.0,
            renewed=self.now - self.witness_gave[B if asker == A else A],
        )

    def restart_witness(self) -> None:
        self.witness, self.witness_sees = None, {}
        self.witness_gave = dict.fromkeys((A, B), self.now)

    @property
    def acknowledging(self) -> set[str]:
        """Regions that could acknowledge a write just now."""
        found: set[str] = set()
        for name, other in ((A, B), (B, A)):
            primary, standby = self.regions[name].postgres, self.regions[other].postgres
            if primary.alive and primary.role == "primary":
                follows = (
                    standby.alive and standby.role == "standby" and standby.streams and self.reaches(A, B)
                )
                if not primary.names or follows:
                    found.add(name)
        return found

    # What operators do. Each refuses as the runbooks do.

    def token(self) -> int:
        self.tokens += 1
        return self.tokens

    def reached(self, name: str) -> Guard:
        guard = self.regions[name].guard
        if guard is None or not self.reaches("operator", name) or self.regions[name].maps.lost:
            raise RemoteError(f"{name} is not reached")
        return guard

    def told(self, source: str, target: str, token: int) -> PairStanding:
        """The new standing, without a proof yet, as the region that is left may be told first."""
        meant = self.regions[target].standing.replication
        return PairStanding(target, token, meant, Proof.NONE, spent=False)

    def fence(self, source: str, target: str, token: int, attest: bool) -> None:
        """As `runbooks.common.moving` does: raises where nothing is proven."""
        guard = self.reached(target)
        before = self.regions[target].standing
        if not guard.report().met:
            raise UsageError(f"{target} has never replicated")
        standing = self.told(source, target, token)
        waited = (
            before.active == source
            and before.replication == SYNCHRONOUS
            and guard.report().waited == before.token
        )
        try:
            self.reached(source).take(standing)
        except RemoteError:
            pass
        else:
            # The run stops here where it is not fenced yet, and is taken up again.
            role = self.regions[source].postgres.role
            if role == "primary" or (role == "none" and not waited):
                raise RemoteError(f"{source} is not fenced yet")
            self._proven(guard, standing, Proof.CONFIRMED)
            return
        peer = guard.state()["peer"]
        if waited or (before.active == target and before.proof is Proof.SYNCHRONOUS and not before.spent):
            self._proven(guard, standing, Proof.SYNCHRONOUS)
        elif attest and self._stays_off(source):
            self._proven(guard, standing, Proof.ATTESTED)
        elif peer is not None and peer.lease > 0:
            guard.take(standing)
            self._require_lease_over(guard, peer.lease, target)
            self._proven(guard, standing, Proof.LEASE)
        else:
            raise UsageError(f"nothing proves that {source} takes no writes")

    def _stays_off(self, source: str) -> bool:
        """Whether a person may say so: a region that took over alone would go on alone, so it must not come back."""
        try:
            standing = self.regions[source].standing
        except RemoteError:
            return self.regions[source].is_off
        return self.regions[source].is_off and not (standing.alone and standing.active == source)

    def _require_lease_over(self, guard: Guard, lease: float, target: str) -> None:
        state = guard.state()
        witness: GuardReport | None = state["witness"]
        if witness is None or state["witness_age"] > 2.0 or witness.active != target:
            raise RemoteError("the witness does not say when it gave leave last")
        silent_for = min(guard.report().renewed, witness.renewed - state["witness_age"])
        if silent_for < lease_over(lease, guard.settings.rules):
            raise RemoteError("the lease has not run out")

    def _proven(self, guard: Guard, standing: PairStanding, proof: Proof) -> None:
        guard.take(PairStanding(standing.active, standing.token, standing.replication, proof, spent=False))

    def promote(self, target: str, token: int) -> None:
        self.reached(target).lead(token)

    def degrade(self, token: int, replication: str, attest: bool) -> None:
        """The standby hears of it first, or a person says that it is off."""
        active = next((name for name in (A, B) if self.regions[name].postgres.role == "primary"), "")
        if not active:
            raise UsageError("nobody takes writes")
        standby = B if active == A else A
        guard = self.reached(active)
        if self.regions[active].standing.active != active:
            raise UsageError("no longer active")
        told = PairStanding(active, token, replication)
        proof = Proof.CONFIRMED
        try:
            self.reached(standby).take(told)
        except RemoteError:
            if replication == ASYNCHRONOUS and not (attest and self.regions[standby].is_off):
                raise
            proof = Proof.ATTESTED if attest and self.regions[standby].is_off else Proof.NONE
        guard.take(PairStanding(active, token, replication, proof))
