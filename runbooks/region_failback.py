"""Back to a pair's primary region, once it is there again: it rejoins, catches up, and is switched over to."""

from __future__ import annotations

from typing import Any, Final

from runbooks.common.moving import Move, moving_steps
from runbooks.common.places import both_regions, pair_named, whole_pair
from runbooks.common.preflight import BEHIND_BYTES, require_lawful
from runbooks.common.standings import look
from runbooks.engine.model import Change, Output, Parameters, Risk, Runbook, Step, StepContext, Verdict
from vitalops.errors import GateFailed, UsageError
from vitalops.model.selection import other_region
from vitalops.ports.database import DatabaseRole, Standing

NAME: Final = "region-failback"
REJOIN_SECONDS: Final = 900.0


class FailbackParameters(Parameters):
    pair: str = ""
    """The failover pair; the only one that starts by default where it is left out."""


Context = StepContext[FailbackParameters]


def _move(context: StepContext[Any]) -> Move:
    pair = pair_named(context.running.platform, context.parameters.pair)
    home = pair.primary
    return Move(pair, other_region(pair, home), home, planned=True)


def _rejoin_check(context: Context) -> Verdict:
    move = _move(context)
    require_lawful(context.running, move.pair, move.target)
    view = look(context.running, move.pair)
    if view.split:
        raise UsageError(f"pair {move.pair.name} is split: {view.split}")
    for region in (move.source, move.target):
        if region not in view.states:
            raise UsageError(
                f"{region} is out of reach: {view.problems.get(region, '')}",
                hint=f"bring it back first; a local region with: vitalops regions start {region}",
            )
    if view.active == move.target:
        return Verdict.done(f"{move.target} is the active region", {"how": "not needed"})
    home = view.states[move.target]
    behind = max(view.states[move.source].position - home.position, 0)
    if home.role is DatabaseRole.STANDBY and home.streaming and behind <= BEHIND_BYTES:
        return Verdict.done(
            f"{move.target} follows {move.source}, {behind} bytes behind", {"how": "streaming"}
        )
    return Verdict.due(
        f"{move.target} rejoins: what only it has is rewound",
        Change(f"database of {move.target}", home.role.value, f"standby of {move.source}"),
    )


def _rejoin(context: Context) -> Output:
    move, running = _move(context), context.running
    began = running.clock.monotonic()
    standing = running.database(move.source).state().standing
    if standing is None:
        raise GateFailed(f"{move.source} knows no standing of the pair")
    home = running.database(move.target)
    home.take_standing(Standing(standing.active, standing.token, standing.replication))
    how = home.follow(standing.token, context.seconds - 10)
    while (behind := _behind(context, move)) > BEHIND_BYTES:
        if running.clock.monotonic() - began > context.seconds - 10:
            raise GateFailed(f"{move.target} is still {behind} bytes behind {move.source}")
        running.clock.sleep(1.0)
    return {"how": how, "seconds": round(running.clock.monotonic() - began, 3)}


def _behind(context: Context, move: Move) -> int:
    written = context.running.database(move.source).state().position
    return max(written - context.running.database(move.target).state().position, 0)


def _rejoin_verify(context: Context) -> None:
    move = _move(context)
    state = context.running.database(move.target).state()
    if not state.streaming and not state.writable:
        raise GateFailed(f"the database of {move.target} does not follow {move.source}")


DESCRIPTION: Final = """\
Use it after a failover, when the pair's primary region is there again.

Its database first rejoins as a standby of the region that took over. What it had written and nobody acknowledged is
rewound (`pg_rewind`), not copied anew: its guard begins with that by itself as soon as it hears of the newer
standing, and this step waits for it. Then the same planned switchover as region-failover's leads back: nothing is
lost, and writes pause for a moment.

When it stops in `rejoin`: the database of the returned region says why (`vitalops logs`); a standby that cannot be
rewound is copied anew by `patronictl reinit` in its pod.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="Lead a pair back to its primary region: rewind, catch up, switch over.",
    description=DESCRIPTION,
    risk=Risk.DISRUPTS,
    parameters=FailbackParameters,
    example="vitalops runbook run region-failback --pair france",
    targets=whole_pair,
    regions=both_regions,
    protects=("synthetic-consultation", "consultation-completed"),
    undoes_on_failure=False,
    rehearsal="tests/cluster/failover/test_failover.py",
    steps=(
        Step(
            name="rejoin",
            summary="Let the returned region follow the active one, rewinding what only it has.",
            limit_seconds=REJOIN_SECONDS,
            check=_rejoin_check,
            apply=_rejoin,
            verify=_rejoin_verify,
            lasting="a standby is what it has to be",
        ),
        *moving_steps(_move),
    ),
)
