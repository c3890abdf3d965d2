"""Moving a pair's active region: the steps that region-failover and region-failback share.

The order is what keeps two regions from taking writes (`vitalops.fencing.machine`): the region that is left must be
known to acknowledge nothing any more, before the other one is promoted; then traffic is switched; what can wait until
service is back comes after that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from runbooks.common import preflight
from runbooks.common.standings import DOUBT_SECONDS, PairView, at_once, look
from runbooks.engine.model import Change, Output, Step, StepContext, Verdict
from vitalops.errors import GateFailed, RemoteError, UsageError
from vitalops.fencing.machine import Rules, lease_over
from vitalops.fencing.standing import Proof
from vitalops.model.failover import Replication
from vitalops.model.platform import FailoverPair
from vitalops.ports.database import DatabaseRole, DatabaseState, Standing
from vitalops.ports.traffic import MAXIMUM_HOLD_SECONDS, TrafficDirector

PROMOTE_SECONDS: Final = 60.0
FENCE_SECONDS: Final = 30.0
CONSULT_SECONDS: Final = 5.0
"""Of media: enough to see that both hear and see one another."""
PREFLIGHT, FENCE, PROMOTE, TRAFFIC, CONSULT, RECORD, BRING_UP = (
    "preflight",
    "fence",
    "promote",
    "traffic",
    "consultation",
    "record",
    "bring-up",
)

Context = StepContext[Any]


@dataclass(frozen=True, slots=True)
class Move:
    """From `source` to `target`."""

    pair: FailoverPair
    source: str
    target: str
    planned: bool
    attested: str = ""
    """A person's words that the source is off; empty where nobody said so."""
    accept_loss: bool = False


MoveOf = Callable[[Context], Move]


def moving_steps(move_of: MoveOf) -> tuple[Step[Any], ...]:
    """The steps, in their order."""

    def bound(function: Callable[[Context, Move], Any]) -> Callable[[Context], Any]:
        return lambda context: function(context, move_of(context))

    return (
        Step(
            name=PREFLIGHT,
            summary="Look at both regions, and refuse what must not be done.",
            limit_seconds=30,
            check=bound(_preflight),
            apply=lambda _: {},
            lasting="only reads",
            reads_only=True,
        ),
        Step(
            name=FENCE,
            summary="Make sure that the region that is left acknowledges no write any more.",
            limit_seconds=FENCE_SECONDS * 2,
            check=bound(_fence_check),
            apply=bound(_fence),
            lasting="a fence is lifted by moving back: the same runbook with the other region",
        ),
        Step(
            name=PROMOTE,
            summary="Promote the database of the region that takes over.",
            limit_seconds=PROMOTE_SECONDS + 10,
            check=bound(_promote_check),
            apply=bound(_promote),
            verify=bound(_promote_verify),
            lasting="writes may have been taken: moving back is an operation of its own",
        ),
        Step(
            name=TRAFFIC,
            summary="Lead clients to the region that takes over.",
            limit_seconds=30,
            check=bound(_traffic_check),
            apply=bound(_traffic),
            verify=bound(_traffic_verify),
            lasting="clients belong where writes are taken",
        ),
        Step(
            name=CONSULT,
            summary="Walk a whole synthetic consultation through the pair's way in.",
            limit_seconds=180,
            check=lambda _: Verdict.due("one consultation, from sign-in to prescription"),
            apply=bound(_consult),
            lasting="leaves a synthetic consultation behind",
        ),
        Step(
            name=RECORD,
            summary="Remember the active region, and tell the other one where it is reached.",
            limit_seconds=60,
            check=bound(_record_check),
            apply=bound(_record),
            lasting="it is a fact by now",
        ),
        Step(
            name=BRING_UP,
            summary="Bring the regions that are there to what platform.yaml says, in their new roles.",
            limit_seconds=900,
            check=lambda _: Verdict.due("as `vitalops up` does"),
            apply=bound(_bring_up),
            lasting="the same as `vitalops up`",
        ),
    )


def _preflight(context: Context, move: Move) -> Verdict:
    running = context.running
    began = running.clock.monotonic()
    preflight.require_lawful(running, move.pair, move.target)
    view = look(running, move.pair, "" if move.planned else move.source)
    preflight.require_sound(view, running.platform, move.target)
    target = view.states[move.target]
    facts: dict[str, Any] = {"source": move.source, "target": move.target, "active": view.active}
    if target.writable and view.active == move.target:
        # A run that is taken up again, or one that comes too late: the rest of the steps makes sure of it.
        facts["note"] = f"{move.target} is the active region already"
        return Verdict.due(facts["note"], facts=facts)
    preflight.require_promotable(view, move.target)
    begun = target.standing is not None and target.standing.token == context.facts.token
    found: list[str] = []
    if move.planned and not begun:
        preflight.require_caught_up(view, move.source, move.target)
        found = list(preflight.warnings(running, move.target))
        if found:
            raise UsageError(
                f"{move.target} is not ready to take over: {found[0]}", hint="leave it for later"
            )
        facts["budget_left"] = preflight.budget(running, move.source)
    elif not begun:
        _require_loss(view, move)
    proof, why = ("planned", "both regions are there") if move.planned else _expected_proof(view, move)
    facts.update(
        {
            "replication": target.standing.replication.value if target.standing else "",
            "token_before": view.token,
            "source_reached": move.source in view.states,
            "source_problem": view.problems.get(move.source, ""),
            "behind_bytes": _behind(view, move),
            "expected_proof": proof,
            "warnings": found,
            "seconds": round(running.clock.monotonic() - began, 3),
        }
    )
    change = Change(f"active region of {move.pair.name}", view.active or move.source, move.target)
    return Verdict.due(f"{move.target} can take over; fence: {why}", change, facts=facts)


def _behind(view: PairView, move: Move) -> int | None:
    """Bytes that the target has not received, as far as anybody knows."""
    target = view.states[move.target]
    if move.source in view.states:
        return max(view.states[move.source].position - target.position, 0)
    if target.peer is not None and target.peer.position:
        return max(target.peer.position - target.position, 0)
    return None


def _lossless(view: PairView, move: Move) -> bool:
    source, target = view.states.get(move.source), view.states[move.target]
    if source is not None and not source.writable and source.position <= target.position:
        return True
    return _waited(target)


def _waited(target: DatabaseState) -> bool:
    """The source's commits waited for the target, as it last said to the target's own guard."""
    standing = target.standing
    return (
        standing is not None
        and target.guard is not None
        and standing.active != target.region
        and standing.replication is Replication.SYNCHRONOUS
        and target.guard.waited == standing.token
    )


def _require_loss(view: PairView, move: Move) -> None:
    source = view.states.get(move.source)
    if source is not None and source.writable and source.followers:
        raise UsageError(
            f"{move.source} is there, takes writes and is replicated from",
            hint="add --planned: nothing is lost then",
        )
    if move.pair.rpo_seconds == 0 and not move.accept_loss and not _lossless(view, move):
        behind = _behind(view, move)
        amount = f"{behind} bytes" if behind is not None else "an unknown amount"
        raise UsageError(
            f"commits of {move.source} did not wait for {move.target}: {amount} of acknowledged writes may be lost",
            hint="bring the region back, or accept it: --accept-loss",
        )


def _expected_proof(view: PairView, move: Move) -> tuple[str, str]:
    """How the source will be known to be no danger. Raises UsageError where it cannot be."""
    source, target = view.states.get(move.source), view.states[move.target]
    if source is not None:
        return Proof.CONFIRMED.value, f"{move.source} is told, and says itself that it takes no writes"
    if _waited(target):
        return Proof.SYNCHRONOUS.value, f"commits of {move.source} wait for {move.target}"
    standing = target.standing
    if standing is not None and standing.active == move.target and standing.proof is not Proof.NONE:
        return standing.proof.value, "proven by an earlier run that did not end"
    if target.peer is not None and target.peer.lease > 0:
        return Proof.LEASE.value, f"{move.source} fences itself {target.peer.lease:g} s after its last leave"
    if move.attested:
        return Proof.ATTESTED.value, f"attested: {move.attested}"
    raise UsageError(
        f"{move.source} is out of reach, its commits do not wait for {move.target}, and it has no lease: it may go on "
        "taking writes",
        hint=f"make sure that {move.source} is off, then say so: --attest-old-region-is-off 'who, and how they know'",
    )


def _fence_check(context: Context, move: Move) -> Verdict:
    state = context.running.database(move.target).state()
    standing = state.standing
    proven = standing and standing.active == move.target and standing.proof is not Proof.NONE
    if standing and proven and (standing.token == context.facts.token or state.writable):
        return Verdict.done(f"{move.source} is fenced: {standing.proof}", {"proof": standing.proof.value})
    return Verdict.due(f"tell {move.source}, and prove that it acknowledges nothing any more")


def _fence(context: Context, move: Move) -> Output:
    began = time.monotonic()
    made = _fence_planned(context, move) if move.planned else _fence_lost(context, move)
    return {**made, "token": context.facts.token, "seconds": round(time.monotonic() - began, 3)}


def _standing(context: Context, move: Move, replication: Replication, proof: Proof) -> Standing:
    return Standing(move.target, context.facts.token, replication, proof, spent=False)


def _fence_planned(context: Context, move: Move) -> dict[str, Any]:
    """Requests wait at the edge meanwhile, so that clients see a pause and no error."""
    running = context.running
    source, target = running.database(move.source), running.database(move.target)
    meant = move.pair.replication
    waited = bool(source.state().waits_for)
    source.checkpoint(FENCE_SECONDS)
    for director in running.directors(move.pair):
        director.hold(MAXIMUM_HOLD_SECONDS)
    paused = running.clock.now().timestamp()
    _until_fenced(context, move, source.take_standing(_standing(context, move, meant, Proof.NONE)), waited)
    target.take_standing(_standing(context, move, meant, Proof.CONFIRMED))
    return {"proof": Proof.CONFIRMED.value, "paused_at": paused}


def _fence_lost(context: Context, move: Move) -> dict[str, Any]:
    running = context.running
    facts = context.outputs.get(PREFLIGHT, {})
    target = running.database(move.target)
    state = target.state()
    meant = state.standing.replication if state.standing else move.pair.replication

    def tell() -> DatabaseState | None:
        try:
            none = _standing(context, move, meant, Proof.NONE)
            return running.database(move.source).take_standing(none)
        except RemoteError:
            return None

    told = tell() if facts.get("source_reached") else None
    if told is not None:
        _until_fenced(context, move, told, _waited(state))
        proof = Proof.CONFIRMED
    elif _waited(state) or (
        state.standing and state.standing.proof is Proof.SYNCHRONOUS and not state.standing.spent
    ):
        proof = Proof.SYNCHRONOUS
    elif state.peer is not None and state.peer.lease > 0 and not move.attested:
        proof = Proof.LEASE
        _outwait_lease(context, move, meant, state)
    elif move.attested:
        proof = Proof.ATTESTED
    else:
        raise UsageError(f"{move.source} cannot be fenced: it has gone out of reach since it was looked at")
    target.take_standing(_standing(context, move, meant, proof))
    return {"proof": proof.value, "attested": move.attested if proof is Proof.ATTESTED else ""}


def _until_fenced(context: Context, move: Move, state: DatabaseState, waited: bool) -> None:
    """Where its commits waited for the target, a database that has been told to stop acknowledges none any more;
    elsewhere it must have been seen as a standby: one that is merely down may be starting."""
    clock = context.running.clock
    end = clock.monotonic() + FENCE_SECONDS
    while state.writable if waited else state.role is not DatabaseRole.STANDBY:
        if clock.monotonic() > end:
            raise GateFailed(
                f"{move.source} is not fenced {FENCE_SECONDS:g} s after it was told: {state.role}"
            )
        clock.sleep(0.05)
        state = context.running.database(move.source).state()


def _outwait_lease(context: Context, move: Move, meant: Replication, before: DatabaseState) -> None:
    """Everybody who could give leave knows the new standing first; then the last leave runs out."""
    clock, target = context.running.clock, context.running.database(move.target)
    lease = before.peer.lease if before.peer else 0.0
    needed = lease_over(lease, Rules(move.target, move.source))
    state = target.take_standing(_standing(context, move, meant, Proof.NONE))
    end = clock.monotonic() + FENCE_SECONDS
    while True:
        silent = _since_leave(state, move)
        if silent is not None and silent >= needed:
            return
        if clock.monotonic() > end:
            raise GateFailed(
                f"whether the lease of {move.source} has run out is not known: the witness does not say when it gave "
                "it leave last"
            )
        clock.sleep(0.1)
        state = target.state()


def _since_leave(state: DatabaseState, move: Move) -> float | None:
    """Seconds since anybody gave the source leave; None where somebody's word is missing."""
    guard = state.guard
    if guard is None or guard.renewed < 0:
        return None
    if any(sight.place == "witness" for sight in guard.sees):
        witness = state.witness
        if witness is None or state.witness_age > 2.0 or witness.renewed < 0:
            return None
        # Refused to the source by now, because the witness has heard of the new standing.
        if witness.active != move.target:
            return None
        return min(guard.renewed, witness.renewed - state.witness_age)
    return guard.renewed


def _promote_check(context: Context, move: Move) -> Verdict:
    state = context.running.database(move.target).state()
    if state.writable and state.standing and state.standing.active == move.target:
        return Verdict.done(f"{move.target} takes writes, on timeline {state.timeline}")
    return Verdict.due(f"promote {move.target}", Change(f"database of {move.target}", "standby", "primary"))


def _token(context: Context, move: Move) -> int:
    """The run's own; an older one's that stands in the target, where that one has been finished."""
    standing = context.running.database(move.target).state().standing
    return standing.token if standing and standing.active == move.target else context.facts.token


def _promote(context: Context, move: Move) -> Output:
    began = time.monotonic()
    token = int(context.outputs.get(FENCE, {}).get("token", 0)) or _token(context, move)
    seconds = context.running.database(move.target).promote(token, PROMOTE_SECONDS)
    return {
        "writable_after": round(seconds, 3),
        "writable_at": context.running.clock.now().timestamp(),
        "seconds": round(time.monotonic() - began, 3),
    }


def _promote_verify(context: Context, move: Move) -> None:
    if not context.running.database(move.target).state().writable:
        raise GateFailed(f"the database of {move.target} takes no writes")


def _traffic_check(context: Context, move: Move) -> Verdict:
    directors = context.running.directors(move.pair)
    before = {director.name: _leads_to(director) for director in directors}
    wrong = {name: active for name, active in before.items() if active != move.target}
    if not wrong:
        return Verdict.done(f"clients are led to {move.target}")
    changes = (Change(name, active or "nowhere", move.target) for name, active in wrong.items())
    return Verdict.due(f"lead clients to {move.target}", *changes)


def _traffic(context: Context, move: Move) -> Output:
    began = time.monotonic()
    directors = context.running.directors(move.pair)
    problems = [each for each in at_once(*(_switching(each, move.target) for each in directors)) if each]
    if len(problems) == len(directors):
        raise RemoteError(problems[0], hint="mend the way in: vitalops runbook run dns-outage; then resume")
    return {
        "switched_at": context.running.clock.now().timestamp(),
        "problems": problems,
        "delay_seconds": max(director.delay_seconds() for director in directors),
        "seconds": round(time.monotonic() - began, 3),
    }


def _switching(director: TrafficDirector, target: str) -> Callable[[], str]:
    """Leads clients to `target`; what went wrong is the result, so that one way in does not hold up the others."""

    def switch() -> str:
        try:
            director.switch(target)
        except RemoteError as error:
            return f"{director.name}: {error.message}"
        return ""

    return switch


def _leads_to(director: TrafficDirector) -> str:
    """Empty also where it does not answer."""
    try:
        return director.active()
    except RemoteError:
        return ""


def _traffic_verify(context: Context, move: Move) -> None:
    """One way in that leads there is enough to go on: the record says which others do not."""
    led = [_leads_to(director) for director in context.running.directors(move.pair)]
    if led and move.target not in led:
        raise GateFailed(f"no way in leads to {move.target}", hint="vitalops runbook run dns-outage")


def _consult(context: Context, move: Move) -> Output:
    clock = context.running.clock
    began, tries = clock.monotonic(), 0
    while True:
        tries += 1
        report = context.running.consult(move.pair, CONSULT_SECONDS)
        if report.verified:
            break
        if clock.monotonic() - began > context.seconds / 2:
            raise GateFailed(f"no consultation succeeds in {move.target}: {report.failed_step}")
        clock.sleep(0.5)
    return {
        "good_at": clock.now().timestamp(),
        "tries": tries,
        "seconds": round(clock.monotonic() - began, 3),
        **_timeline(context, clock.now().timestamp()),
    }


def _timeline(context: Context, now: float) -> dict[str, float]:
    """Seconds from the start of the run: what the report of a failover is made of."""
    started = context.facts.started
    promoted = context.outputs.get(PROMOTE, {}).get("writable_at")
    switched = context.outputs.get(TRAFFIC, {}).get("switched_at")
    made = {"first_good_consultation_after": round(now - started, 3)}
    if promoted:
        made["first_write_after"] = round(float(promoted) - started, 3)
    if switched:
        made["traffic_after"] = round(float(switched) - started, 3)
    return made


def _record_check(context: Context, move: Move) -> Verdict:
    known = context.running.active_region(move.pair)
    return Verdict.due(
        "remember it and tell the other region",
        Change("active region, as this machine remembers", known, move.target),
    )


def _record(context: Context, move: Move) -> Output:
    running = context.running
    running.set_active_region(move.pair, move.target)
    standing = running.database(move.target).state().standing
    told, problem = False, ""
    if standing is not None:
        known = Standing(standing.active, standing.token, standing.replication)
        try:
            running.database(move.source).take_standing(known, DOUBT_SECONDS)
            told = True
        except RemoteError as error:
            problem = error.message
    return {"told": told, "problem": problem}


def _bring_up(context: Context, move: Move) -> Output:
    """The region that is left is brought up too where it is there."""
    running = context.running
    regions, left_out = [move.target], ""
    try:
        running.cluster(move.source).request("GET", "/version", timeout=2.0)
        regions.insert(0, move.source)
    except RemoteError as error:
        left_out = error.message
    try:
        done = running.bring_up(regions, context.progress)
    except RemoteError as error:
        # Service is back, which is what this is about; the next `up` does what this one could not.
        return {"regions": regions, "problem": error.message, "hint": "run `vitalops up` again"}
    return {"regions": regions, "changed": done, "left_out": left_out}
