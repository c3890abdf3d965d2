"""Let commits no longer wait for the other region while that one is lost, and let them wait again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runbooks.common.places import both_regions, pair_named, whole_pair
from runbooks.common.standings import DOUBT_SECONDS, PairView, look
from runbooks.engine.model import (
    AlertBinding,
    Change,
    Output,
    Parameters,
    Risk,
    Runbook,
    Step,
    StepContext,
    Verdict,
)
from vitalops import conventions as c
from vitalops.errors import GateFailed, RemoteError, UsageError
from vitalops.fencing.standing import Proof
from vitalops.model.failover import Replication
from vitalops.model.platform import FailoverPair, Platform
from vitalops.model.selection import other_region
from vitalops.ports.database import DatabaseState, Standing

NAME: Final = "degrade-to-async"
APPLIED_SECONDS: Final = 20.0
"""Patroni hears of a changed configuration at once, and applies it in its next round."""


class DegradeParameters(Parameters):
    pair: str = ""
    """The failover pair; the only one that starts by default where it is left out."""
    restore: bool = False
    """The way back: commits wait for the other region again, as soon as it follows."""
    attest_standby_is_off: str = ""
    """Who makes sure that the other region is off, and how they know: where it cannot be told. It must not be promoted
    on the strength of an older promise."""


Context = StepContext[DegradeParameters]


def _pair(context: Context) -> FailoverPair:
    return pair_named(context.running.platform, context.parameters.pair)


def _meant(context: Context) -> Replication:
    return Replication.SYNCHRONOUS if context.parameters.restore else Replication.ASYNCHRONOUS


def _active(view: PairView) -> DatabaseState:
    state = view.states.get(view.active)
    if state is None or not state.writable:
        raise UsageError(
            f"no region of {view.pair.name} that is reached takes writes",
            hint="this is for a lost standby; for a lost active region: vitalops runbook run region-failover",
        )
    return state


def _seen(context: Context) -> tuple[PairView, DatabaseState]:
    view = look(context.running, _pair(context))
    if view.split:
        raise UsageError(f"pair {view.pair.name} is split: {view.split}")
    return view, _active(view)


def _is_so(state: DatabaseState, meant: Replication) -> bool:
    """As meant, and in effect as far as it can be: nobody waits for a region that does not follow."""
    if state.standing is None or state.standing.replication is not meant:
        return False
    return bool(state.waits_for) is (meant is Replication.SYNCHRONOUS and bool(state.followers))


def _look_check(context: Context) -> Verdict:
    view, active = _seen(context)
    standby = other_region(view.pair, active.region)
    told = standby in view.states
    attested = context.parameters.attest_standby_is_off
    if not context.parameters.restore and not told and not attested:
        raise UsageError(
            f"{standby} cannot be told ({view.problems.get(standby, 'out of reach')}), and could be promoted on an "
            "older promise that nothing is lost",
            hint=f"make sure that {standby} is off, then say so: --attest-standby-is-off 'who, and how they know'",
        )
    facts: dict[str, Any] = {
        "active": active.region,
        "standby": standby,
        "standby_reached": told,
        "replication": active.standing.replication.value if active.standing else "",
        "waits_for": list(active.waits_for),
    }
    return Verdict.due(
        f"{active.region} is active, {standby} is {'' if told else 'not '}reached", facts=facts
    )


def _change_check(context: Context) -> Verdict:
    _, active = _seen(context)
    meant = _meant(context)
    if _is_so(active, meant):
        return Verdict.done(f"replication is {meant}")
    before = active.standing.replication.value if active.standing else "unknown"
    return Verdict.due(
        f"commits of {active.region} {'wait again' if context.parameters.restore else 'wait for nobody'}",
        Change(f"replication of {_pair(context).name}", before, meant.value),
    )


def _change(context: Context) -> Output:
    return _set(context, _meant(context))


def _set(context: Context, meant: Replication) -> dict[str, Any]:
    """The standby hears of it first: what it was promised before holds no longer then."""
    running = context.running
    found = context.outputs["look"]
    active, standby = running.database(str(found["active"])), running.database(str(found["standby"]))
    standing = active.state().standing
    if standing is None:
        raise GateFailed(f"{active.region} knows no standing of the pair")
    token = max(context.facts.token, standing.token)
    if standing.replication is not meant:
        token = max(context.facts.token, standing.token + 1)
    proof = Proof.CONFIRMED
    try:
        standby.take_standing(Standing(active.region, token, meant), DOUBT_SECONDS * 3)
    except RemoteError:
        if meant is Replication.ASYNCHRONOUS and not context.parameters.attest_standby_is_off:
            raise
        proof = Proof.ATTESTED if context.parameters.attest_standby_is_off else Proof.NONE
    state = active.take_standing(Standing(active.region, token, meant, proof))
    end = running.clock.monotonic() + APPLIED_SECONDS
    while not _is_so(state, meant) and running.clock.monotonic() < end:
        running.clock.sleep(0.2)
        state = active.state()
    return {"token": token, "proof": proof.value, "waits_for": list(state.waits_for)}


def _change_verify(context: Context) -> None:
    state = context.running.database(str(context.outputs["look"]["active"])).state()
    meant = _meant(context)
    if not _is_so(state, meant):
        raise GateFailed(
            f"replication of {state.region} is not {meant}: commits wait for {state.waits_for or 'nobody'}"
        )


def _change_undo(context: Context) -> None:
    before = str(context.outputs["look"]["replication"])
    if before:
        _set(context, Replication(before))


def _from_alert(labels: Mapping[str, str], platform: Platform) -> DegradeParameters | None:
    pair = labels.get(c.METRIC_PAIR, "")
    if pair not in platform.pairs or platform.pairs[pair].replication is not Replication.SYNCHRONOUS:
        return None
    return DegradeParameters(pair=pair)


DESCRIPTION: Final = """\
Use it when the standby region is lost or cannot keep up, and commits of the active region wait for it: every write
hangs then. Afterwards writes are acknowledged as soon as they are in the active region alone: what is written until
the way back is lost if that region is lost.

`--restore` is the way back: commits wait again as soon as the standby follows.

The standby is told first, so that nobody can promote it on the strength of what it was promised before. Where it
cannot be told, a person says that it is off (`--attest-standby-is-off`); that is recorded, and holds until its guard
is heard again.

`vitalops status` shows replication as it is and as it is meant.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="Let commits no longer wait for a lost standby region, or let them wait again.",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=DegradeParameters,
    example="vitalops runbook run degrade-to-async --pair france",
    targets=whole_pair,
    regions=both_regions,
    protects=("answered",),
    answers=(AlertBinding(c.ALERT_REPLICATION_LAG, _from_alert),),
    rehearsal="tests/cluster/runbooks/test_degrade_to_async.py",
    steps=(
        Step(
            name="look",
            summary="See which region is active, and whether the other one can be told.",
            limit_seconds=20,
            check=_look_check,
            apply=lambda _: {},
            lasting="only reads",
            reads_only=True,
        ),
        Step(
            name="change",
            summary="Tell the standby, then the active region, and wait until it is in effect.",
            limit_seconds=60,
            check=_change_check,
            apply=_change,
            verify=_change_verify,
            undo=_change_undo,
        ),
    ),
)
