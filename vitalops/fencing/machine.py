"""Who may write in a pair: the decision of one region's guard. Pure; nothing here waits, asks or acts.

Invariant. At no moment do two regions of a pair acknowledge writes. It rests on these rules, each of which is kept by
one function below or by the order of steps of the operation that moves the active region:

1. A region takes writes only while its own standing names it, and only a promotion makes it take writes:
   `leave_to_promote` is asked before each of them, also after a crash, and where it is in doubt it says to wait.
2. A standing that names another region than before comes with a proof against the region before (`Proof`), and the
   proof serves for one promotion alone: it is marked as spent before the promotion begins.
3. A guard that hears of a higher token takes that standing for its own (`newest`) and fences its region (`decide`).
4. SYNCHRONOUS. What commits wait for is set only in the region that is active, and given up only with a higher
   token that the other region has heard of first, or of which a person attests that it is off. So "its commits wait for
   me", said by the active region to this very guard process at the token that still stands, remains true however
   long ago it was: once this region is promoted nobody acknowledges the other's commits.
5. LEASE. A region under a lease fences itself when nobody gave it leave for `lease_seconds`, counted by its own
   monotonic clock from the moment at which it *asked* for the last leave. Whoever gives leave counts from the moment
   at which it *answered*, which is later; it must know the new standing first (so that it gives no leave any more), and
   then let `lease_over` pass: the lease, what clocks drift, and what it takes to stop the database. Only
   durations are compared, never times of day.
6. A guard that has just started knows nothing of the past: it gives its region leave only when the other region, or a
   witness that reaches the other region, has said that nobody took over; when a proof is unspent; or when its region is
   `alone`. A guard that went on running while its database crashed does know: a takeover that it has not heard of can
   rest on rule 4 or rule 5 only, and both still bind its region.
7. A region is alone from its takeover (or its first start) until the other region's guard asks it, which is answered
   only after the end of being alone has been written down. Whoever has no answer has neither a promise by rule 4 nor a
   lease by rule 5 to hold against it.

What this does not cover: a person who attests that a region is off which is not, or does not stay off until it has
heard of the new standing, or who changes Patroni's own configuration by hand; and, without synchronous replication, a
machine that stands still for longer than the margin between one look of its guard and the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from vitalops.fencing.report import GuardReport
from vitalops.fencing.standing import SYNCHRONOUS, PairStanding, Proof

WITNESS: Final = "witness"


@dataclass(frozen=True, slots=True)
class Rules:
    """Seconds."""

    region: str
    peer: str
    home: bool = True
    """Whether the platform names this region as the pair's primary: it decides between equal tokens."""
    lease_seconds: float | None = None
    """None: the region needs nobody's leave to go on."""
    fresh_seconds: float = 2.0
    """What was heard longer ago says nothing about now."""
    stop_seconds: float = 4.0
    """From the end of a lease until the database takes no more writes, at the most."""
    drift: float = 0.01
    """By how much two monotonic clocks may run apart."""


@dataclass(frozen=True, slots=True)
class Word:
    """What another place said, and when it was asked (this guard's monotonic clock)."""

    report: GuardReport
    asked: float


@dataclass(frozen=True, slots=True)
class Own:
    """The region's own database. `follows`: Patroni is told to keep it a standby of the other region."""

    writable: bool
    follows: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """What a guard remembers since it started; none of it survives the process."""

    since: float
    peer: Word | None = None
    witness: Word | None = None
    held: int = -1
    """Token under which this guard has itself seen its region take writes; -1 for none."""
    waited: int = -1
    """Token at which the other region, active, last said that its commits wait for this one; -1 for none."""
    renewed: float | None = None
    """When this guard last gave the other region leave to go on."""

    def heard(self, word: Word, standing: PairStanding | None) -> Memory:
        """With another place's latest word in it."""
        report = word.report
        if report.place == WITNESS:
            return replace(self, witness=word)
        known = standing.token if standing else -1
        waits = report.role == "primary" and report.active == report.place and report.confirmed
        if report.token < known:
            return replace(self, peer=word)
        return replace(self, peer=word, waited=report.token if waits else self._still(report))

    def _still(self, report: GuardReport) -> int:
        """A higher token takes the promise back; a primary that merely shuts down does not."""
        return self.waited if self.waited == report.token else -1


class Kind(StrEnum):
    STAY = "stay"
    FENCE = "fence"
    UNFENCE = "unfence"


@dataclass(frozen=True, slots=True)
class Decision:
    kind: Kind
    reason: str = ""


class Leave(StrEnum):
    YES = "yes"
    NO = "no"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Answer:
    leave: Leave
    reason: str
    spends: bool = False
    """The standing's proof is to be marked as spent, durably, before the promotion begins."""


def newest(standing: PairStanding, memory: Memory, rules: Rules) -> PairStanding:
    """The standing itself, or what another place knows better.

    A proof is not passed on: who learns in this way that it has become the active region waits for the operation.
    """
    for word in (memory.peer, memory.witness):
        if word is None or word.report.token <= standing.token or not word.report.active:
            continue
        report = word.report
        meant = report.meant or standing.replication
        entitled = report.active != rules.region or (standing.active == rules.region and standing.spent)
        standing = PairStanding(report.active, report.token, meant, Proof.NONE, entitled)
    return standing


def decide(now: float, standing: PairStanding, own: Own, memory: Memory, rules: Rules) -> Decision:
    """What is to become of the region's database. `standing` is the newest that the guard knows."""
    if standing.active != rules.region:
        if own.follows and not own.writable:
            return Decision(Kind.STAY)
        return Decision(Kind.FENCE, f"{standing.active} is the active region, by token {standing.token}")
    rival = _rival(standing, memory, rules)
    if rival and not rules.home:
        return Decision(Kind.FENCE, rival)
    if own.follows:
        if standing.spent and not rival and _may_return(now, standing, memory, rules):
            return Decision(Kind.UNFENCE, "nobody took over")
        if own.writable:
            return Decision(Kind.FENCE, "Patroni was told to demote, and has not yet")
        return Decision(Kind.STAY)
    lapsed = out_of_reach(now, standing, memory, rules)
    if lapsed is not None:
        return Decision(
            Kind.FENCE,
            f"neither {rules.peer} nor the witness has been reached for {lapsed:.1f} s, and its lease is "
            f"{rules.lease_seconds:g} s",
        )
    return Decision(Kind.STAY)


def leave_to_promote(now: float, standing: PairStanding | None, memory: Memory, rules: Rules) -> Answer:
    """Whether the region's database may be promoted just now, for whatever reason it is about to."""
    if standing is None:
        return Answer(Leave.WAIT, "who may write is not known yet")
    if standing.active != rules.region:
        return Answer(Leave.NO, f"{standing.active} is the active region, by token {standing.token}")
    rival = _rival(standing, memory, rules)
    if rival:
        return Answer(Leave.NO, rival)
    if not standing.spent:
        if standing.proof is Proof.NONE:
            return Answer(Leave.WAIT, f"the operation of token {standing.token} is to be resumed")
        return Answer(Leave.YES, f"token {standing.token}, {standing.proof.value}", spends=True)
    if standing.alone:
        return Answer(Leave.YES, f"{rules.peer} has not been heard of since this region became active")
    if _may_return(now, standing, memory, rules):
        return Answer(Leave.YES, "nobody took over")
    return Answer(
        Leave.WAIT,
        f"neither {rules.peer} nor a witness that reaches it has been heard since this guard started: whether "
        f"{rules.peer} has taken over is not known. It goes on when one of them answers; if {rules.peer} is off, a "
        f"person can say so: vitalops runbook run region-failover --to {rules.region}",
    )


def out_of_reach(now: float, standing: PairStanding, memory: Memory, rules: Rules) -> float | None:
    """Seconds without leave, where the region has a lease and it has run out; None otherwise."""
    if rules.lease_seconds is None or standing.alone:
        return None
    given = [memory.since]
    for word in (memory.peer, memory.witness):
        if word is not None and word.report.active == rules.region and word.report.token <= standing.token:
            given.append(word.asked)
    silent = now - max(given)
    return silent if silent > rules.lease_seconds else None


def lease_over(lease_seconds: float, rules: Rules) -> float:
    """Seconds after the last leave at which the other region certainly takes no writes."""
    return (lease_seconds + rules.stop_seconds) * (1 + rules.drift)


def proves_waiting(before: PairStanding, memory: Memory, rules: Rules) -> bool:
    """Proof.SYNCHRONOUS: what the other region said last, at the token that stands before the takeover."""
    return before.active == rules.peer and before.replication == SYNCHRONOUS and memory.waited == before.token


def names_wanted(
    standing: PairStanding, own: Own, streaming: bool, set_now: bool, members: tuple[str, ...], rules: Rules
) -> tuple[str, ...] | None:
    """Members whose acknowledgement commits wait for from now on; None where nothing is to be changed.

    `streaming`: a member of the other region has caught up. Waiting is begun only then, so that a region that has no
    standby yet can be set up; it is given up only as rule 4 says.
    """
    if standing.active != rules.region:
        # Only once it is a standby for certain: until then what waits must not be acknowledged.
        return () if set_now and own.follows and not own.writable else None
    if own.follows or not own.writable:
        return None
    if standing.replication == SYNCHRONOUS:
        return members if streaming and not set_now else None
    return () if set_now and standing.proof is not Proof.NONE else None


def _rival(standing: PairStanding, memory: Memory, rules: Rules) -> str:
    """Another place's word that contradicts this standing at the same token or above."""
    for word in (memory.peer, memory.witness):
        if word is not None and word.report.active and word.report.active != standing.active:
            report = word.report
            if report.token > standing.token or (report.token == standing.token and report.place != WITNESS):
                return f"{report.place} says that {report.active} is active, by token {report.token}"
    return ""


def _may_return(now: float, standing: PairStanding, memory: Memory, rules: Rules) -> bool:
    """Rule 6, and rule 5 for a guard that has been here all the time."""
    known_here = memory.held == standing.token
    if standing.alone or (known_here and rules.lease_seconds is None):
        return True
    peer, witness = memory.peer, memory.witness
    if peer and now - peer.asked <= rules.fresh_seconds:
        return peer.report.active == rules.region and not peer.report.writable
    if witness and now - witness.asked <= rules.fresh_seconds and witness.report.active == rules.region:
        sees_peer = any(sight.place == rules.peer and sight.reached for sight in witness.report.sees)
        return known_here or sees_peer
    return False
