"""A guard's round: it looks, decides by `vitalops.fencing.machine`, and acts on Patroni and the standing."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from vitalops.errors import RemoteError
from vitalops.fencing import machine
from vitalops.fencing.machine import Answer, Kind, Leave, Memory, Own, Word
from vitalops.fencing.report import GuardReport, Sight
from vitalops.fencing.standing import ASYNCHRONOUS, SYNCHRONOUS, PairStanding
from vitalops.guard import patroni
from vitalops.guard.keeper import Keeper, newer
from vitalops.guard.patroni import Config, PatroniConfig
from vitalops.guard.postgres import NOBODY, Database, Look
from vitalops.guard.settings import GuardSettings

SOFT_SECONDS: Final = 1.5
"""Patroni's time to demote; then the postmaster is told directly."""
HARD_SECONDS: Final = 3.0
_REREAD_SECONDS: Final = 1.0

Say = Callable[..., None]


@dataclass(slots=True)
class _Place:
    """How another place was last reached."""

    reached: bool
    since: float


class Round:
    """Safe to use from several threads. Times are of `monotonic` but where they say otherwise."""

    def __init__(
        self,
        settings: GuardSettings,
        keeper: Keeper,
        config: PatroniConfig,
        database: Database,
        say: Say,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._keeper, self._config, self._database, self._say = keeper, config, database, say
        self._monotonic, self._wall = monotonic, wall
        now = monotonic()
        self._memory = Memory(since=now)
        self._standing: PairStanding | None = None
        self._look: Look = NOBODY
        self._patroni: Config | None = None
        self._fenced = ""
        self._unfenced_at = 0.0
        self._fencing_since: float | None = None
        self._reread = -_REREAD_SECONDS
        self._places: dict[str, _Place] = {}
        # `_facts` is held for moments only, so that reports are served while `_work` waits for something.
        self._facts = threading.Lock()
        self._work = threading.RLock()
        self._said = ""

    # What other places say and are told.

    def heard(self, report: GuardReport, asked: float) -> None:
        with self._facts:
            self._mark(report.place, True)
            self._memory = self._memory.heard(Word(report, asked), self._standing)

    def missed(self, place: str) -> None:
        """Another place has not answered."""
        with self._facts:
            self._mark(place, False)

    def _mark(self, place: str, reached: bool) -> None:
        known = self._places.get(place)
        if known is None or known.reached != reached:
            self._places[place] = _Place(reached, self._monotonic())

    def report(self, asker: str = "") -> GuardReport:
        """What this guard says of itself; an answer to the other region that leaves it active renews its lease."""
        with self._facts:
            now, standing, look = self._monotonic(), self._standing, self._look
            if standing and asker == self.settings.peer and standing.active == asker:
                self._memory = replace(self._memory, renewed=now)
            return self._reported(now, standing, look)

    def answer(self, asker: str) -> GuardReport | None:
        """The same for whoever asks over the network. None where the other region must not be answered yet: that this
        one is no longer alone has to be written down first."""
        if asker == self.settings.peer and not self._joined():
            return None
        return self.report(asker)

    def _joined(self) -> bool:
        """Write down that the other region is there."""
        with self._facts:
            standing = self._standing
        if standing is None or not standing.alone:
            return standing is not None
        joined = replace(standing, alone=False)
        try:
            kept = self._keeper.write(joined)
        except (RemoteError, ValueError):
            return False
        with self._facts:
            if self._standing is not None and self._standing.token == joined.token:
                self._standing = replace(self._standing, alone=False)
        return kept.token > joined.token or not kept.alone

    def _reported(self, now: float, standing: PairStanding | None, look: Look) -> GuardReport:
        settings, memory = self.settings, self._memory
        waits = bool(look.names) and look.writable
        ours = standing is not None and standing.active == settings.region
        renewed = memory.since if memory.renewed is None else memory.renewed
        return GuardReport(
            pair=settings.pair,
            place=settings.region,
            token=standing.token if standing else -1,
            active=standing.active if standing else "",
            role=look.role,
            writable=look.writable,
            fenced=self._fenced,
            replication=SYNCHRONOUS if waits else ASYNCHRONOUS,
            confirmed=waits and ours and standing is not None and standing.replication == SYNCHRONOUS,
            received=look.position if look.role == "standby" else 0,
            sees=tuple(
                Sight(name, place.reached, round(now - place.since, 3))
                for name, place in self._places.items()
            ),
            clock=self._wall(),
            meant=standing.replication if standing else settings.replication,
            waited=memory.waited,
            renewed=round(now - renewed, 3),
            met=standing is not None and not (standing.alone and standing.token == 0),
            position=look.position if look.writable else 0,
            lease=settings.lease_seconds or 0.0,
        )

    # The round.

    def tick(self) -> None:
        """One look and what follows from it. Raises nothing that a next one could not mend."""
        with self._work:
            now = self._monotonic()
            look = self._database.look()
            with self._facts:
                self._look = look
            if now - self._reread >= _REREAD_SECONDS:
                self.reread()
            if self._standing is None:
                self._begin()
            self._settle()

    def reread(self) -> None:
        """What other members' guards and operations have written."""
        try:
            kept = self._keeper.read()
            config = self._config.read()
        except (RemoteError, ValueError) as error:
            self._tell("cannot read", problem=str(error))
            return
        self._reread = self._monotonic()
        self._patroni = config
        required = self.settings.required
        if config is not None and any(config.get(name) != value for name, value in required.items()):
            with contextlib.suppress(RemoteError):
                self._patroni = self._config.change(lambda changed: changed.update(required))
        if kept is not None:
            self._hold(kept if self._standing is None else newer(self._standing, kept))

    def _hold(self, standing: PairStanding) -> None:
        with self._facts:
            if self._standing is not None and standing.token > self._standing.token:
                held, waited = self._memory.held, self._memory.waited
                goes_on = standing.active == self._standing.active == self.settings.region
                self._memory = replace(
                    self._memory,
                    held=standing.token if goes_on and held == self._standing.token else held,
                    waited=waited if waited == standing.token else -1,
                )
            self._standing = standing

    def _begin(self) -> None:
        """The first standing of a region: what its database was made as."""
        if self._patroni is None:
            return
        settings = self.settings
        active = settings.peer if patroni.follows(self._patroni) else settings.region
        try:
            self._hold(self._keeper.write(PairStanding(active, 0, settings.replication, alone=True)))
        except (RemoteError, ValueError) as error:
            self._tell("cannot write the first standing", problem=str(error))

    def _own(self) -> Own:
        return Own(self._look.writable, patroni.follows(self._patroni))

    def _settle(self) -> None:
        standing = self._standing
        if standing is None:
            return
        rules, now = self.settings.rules, self._monotonic()
        with self._facts:
            memory = self._memory
        known = machine.newest(standing, memory, rules)
        if known.active == rules.region and self._look.writable:
            known = replace(known, spent=True)
        if known != standing:
            self._hold(known)
            self._say("standing", active=known.active, token=known.token, replication=known.replication)
            self._keep(known)
        own = self._own()
        decision = machine.decide(now, known, own, memory, rules)
        match decision.kind:
            case Kind.FENCE:
                self._fence(decision.reason, own)
            case Kind.UNFENCE:
                self._unfence()
            case Kind.STAY:
                self._fencing_since = None
                if known.active != rules.region and self._look.streaming:
                    with self._facts:
                        # A standby like any other by now.
                        self._fenced = ""
                if known.active == rules.region and not own.follows:
                    with self._facts:
                        self._fenced = ""
                        if own.writable:
                            self._memory = replace(self._memory, held=known.token)
        if decision.kind is Kind.STAY:
            self._wait_for_members(known, own)

    def _keep(self, standing: PairStanding) -> None:
        try:
            self._hold(newer(standing, self._keeper.write(standing)))
        except (RemoteError, ValueError) as error:
            self._tell("cannot keep the standing", problem=str(error))

    def _fence(self, reason: str, own: Own) -> None:
        now = self._monotonic()
        if self._fencing_since is None:
            self._fencing_since = now
            with self._facts:
                self._fenced = reason
            self._say("fence", reason=reason)
        upstream = dict(self.settings.upstream)

        def follow(config: Config) -> None:
            config["standby_cluster"] = upstream

        if not own.follows:
            try:
                self._patroni = self._config.change(follow)
            except RemoteError as error:
                self._tell("cannot tell Patroni", problem=str(error))
        taken = now - self._fencing_since
        if own.writable and taken >= SOFT_SECONDS:
            self._say("stop", hard=taken >= HARD_SECONDS)
            self._database.stop(hard=taken >= HARD_SECONDS)

    def _unfence(self) -> None:
        self._say("unfence", reason="the other places are back, and nobody took over")
        try:
            self._patroni = self._config.change(follow_nobody)
        except RemoteError as error:
            self._tell("cannot tell Patroni", problem=str(error))

    def _wait_for_members(self, standing: PairStanding, own: Own) -> None:
        settings = self.settings
        wanted = machine.names_wanted(
            standing,
            own,
            any(follower.streaming for follower in self._look.followers),
            patroni.names_in(self._patroni) != "",
            settings.peer_members,
            settings.rules,
        )
        if wanted is None:
            return
        try:
            self._patroni = self._config.change(lambda config: patroni.set_names(config, wanted))
            self._say("commits wait for", members=list(wanted))
        except RemoteError as error:
            self._tell("cannot tell Patroni", problem=str(error))

    def _tell(self, event: str, **facts: Any) -> None:
        """What lasts is said once."""
        text = f"{event} {facts}"
        if text != self._said:
            self._said = text
            self._say(event, **facts)

    # What operations and Patroni ask for.

    def permit(self) -> Answer:
        """Patroni's question before every promotion. A proof that serves for it is marked as spent first."""
        with self._work:
            self.reread()
            if self._standing is None:
                self._begin()
            with self._facts:
                memory = self._memory
            standing = self._standing
            if standing is not None:
                standing = machine.newest(standing, memory, self.settings.rules)
            answer = machine.leave_to_promote(self._monotonic(), standing, memory, self.settings.rules)
            if answer.leave is Leave.YES and answer.spends and standing is not None:
                spent = replace(standing, spent=True)
                try:
                    kept = self._keeper.write(spent)
                except (RemoteError, ValueError) as error:
                    return Answer(Leave.WAIT, f"the standing cannot be kept: {error}")
                self._hold(newer(standing, kept))
                if kept.token != spent.token or kept.active != spent.active:
                    return Answer(Leave.WAIT, "a newer standing has come meanwhile")
            if answer.leave is Leave.YES and standing is not None:
                with self._facts:
                    self._memory = replace(self._memory, held=standing.token)
            if answer.leave is Leave.NO:
                # Patroni must know whom to follow before it hears no.
                self.tick()
            self._tell("promotion", leave=answer.leave.value, reason=answer.reason)
            return answer


def follow_nobody(config: Config) -> None:
    config.pop("standby_cluster", None)
