"""The guard of one region: its round, and what operations ask of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vitalops.errors import RemoteError, UsageError
from vitalops.fencing import machine
from vitalops.fencing.standing import PairStanding, Proof
from vitalops.guard import patroni
from vitalops.guard.keeper import newer
from vitalops.guard.patroni import Config
from vitalops.guard.round import Round, follow_nobody


class Guard(Round):
    """Safe to use from several threads."""

    def take(self, standing: PairStanding) -> PairStanding:
        """A standing from an operation. Raises UsageError for a stale token or a proof that does not hold here."""
        with self._work:
            self.reread()
            if self._standing is None:
                self._begin()
            before = self._standing
            if before is not None:
                self._refuse_stale(standing, before)
                self._refuse_unproven(standing, before)
            if standing.active == self.settings.region and standing.proof is not Proof.NONE:
                moved = before is None or before.active != standing.active or not before.spent
                standing = replace(standing, alone=moved or standing.proof is Proof.ATTESTED)
                if self._look.writable:
                    # It needs no promotion: a proof that is left over would serve for one that nobody has proven.
                    standing = replace(standing, spent=True)
            kept = self._keeper.write(standing)
            self._hold(kept if before is None else newer(before, kept))
            self._say(
                "standing taken", active=standing.active, token=standing.token, proof=standing.proof.value
            )
            self.tick()
            return kept

    def _refuse_stale(self, standing: PairStanding, before: PairStanding) -> None:
        stale = standing.token < before.token
        if stale or (standing.token == before.token and standing.active != before.active):
            raise UsageError(
                f"region {self.settings.region} knows of a newer standing: {before.active} is active, by token "
                f"{before.token}, which is not below {standing.token}",
                hint="look at `vitalops status`, then begin anew",
            )

    def _refuse_unproven(self, standing: PairStanding, before: PairStanding) -> None:
        """A proof that this guard can judge itself is judged here once more."""
        if standing.active != self.settings.region or standing.proof is not Proof.SYNCHRONOUS:
            return
        same = standing.token == before.token or not before.spent
        repeated = same and before.active == standing.active and before.proof is Proof.SYNCHRONOUS
        if not repeated and not machine.proves_waiting(before, self._memory, self.settings.rules):
            raise UsageError(
                f"region {self.settings.region}: commits of {self.settings.peer} did not wait for it, as far as it has "
                f"heard at token {before.token}",
                hint=f"fence {self.settings.peer} first, or attest that it is off",
            )

    def require(self, token: int, active: str) -> PairStanding:
        """Raises UsageError unless `token` stands here and names `active`."""
        standing = self._standing
        if standing is None or standing.token != token or standing.active != active:
            known = f"{standing.active} by token {standing.token}" if standing else "nobody"
            raise UsageError(
                f"region {self.settings.region} knows {known} as active, not {active} by token {token}",
                hint="look at `vitalops status`, then begin anew",
            )
        return standing

    def lead(self, token: int) -> None:
        """Tell Patroni to promote; it asks `permit` before it does. Raises UsageError, RemoteError."""
        with self._work:
            self.reread()
            standing = self.require(token, self.settings.region)
            takeover = not standing.spent

            def lead(config: Config) -> None:
                follow_nobody(config)
                if takeover:
                    patroni.set_names(config, ())

            if not self._look.writable or patroni.follows(self._patroni):
                self._patroni = self._config.change(lead)

    def promote(self, token: int, seconds: float) -> float:
        """Returns the seconds until writes were taken. Raises UsageError, or RemoteError where time is over."""
        began = self._monotonic()
        self.lead(token)
        self._wait(lambda: self._look.writable, seconds, "took no writes")
        return self._monotonic() - began

    def follow(self, token: int, seconds: float) -> str:
        """Be a standby of the other region, and wait until it streams. Returns how it came to that."""
        began = self._wall()
        self.require(token, self.settings.peer)
        self._wait(lambda: self._look.role == "standby" and self._look.streaming, seconds, "does not stream")
        return self._database.came_by(began) or "streaming"

    def until_fenced(self, seconds: float) -> None:
        """Wait until no more writes are taken, at most so long: whoever asked looks at the state itself."""
        with contextlib.suppress(RemoteError):
            self._wait(lambda: not self._look.writable, seconds, "still takes writes")

    def _wait(self, done: Callable[[], bool], seconds: float, problem: str) -> None:
        end = self._monotonic() + seconds
        while True:
            self.tick()
            if done():
                return
            if self._monotonic() >= end:
                raise RemoteError(
                    f"region {self.settings.region}: its database {problem} within {seconds:g} s"
                )
            time.sleep(0.05)

    def state(self) -> dict[str, Any]:
        """Everything for the operator's adapter, as JSON."""
        self.tick()
        with self._facts:
            now, standing, look, memory = self._monotonic(), self._standing, self._look, self._memory
            report = self._reported(now, standing, look)
        witness = memory.witness
        return {
            "report": report,
            "standing": standing.to_data() if standing else None,
            "look": look,
            "names": patroni.names_in(self._patroni),
            "follows": patroni.follows(self._patroni),
            "peer": memory.peer.report if memory.peer else None,
            "peer_age": now - memory.peer.asked if memory.peer else None,
            "witness": witness.report if witness else None,
            "witness_age": now - witness.asked if witness else None,
        }
