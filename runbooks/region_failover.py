"""Make the other region of a pair the active one: planned, or because the active one is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runbooks.common.moving import Move, moving_steps
from runbooks.common.places import pair_named
from runbooks.engine.model import AlertBinding, Parameters, Risk, Runbook, StepContext, Target
from vitalops import conventions as c
from vitalops.errors import UsageError
from vitalops.model.platform import FailoverPair, Platform
from vitalops.model.selection import other_region, pair_of

NAME: Final = "region-failover"
SLIS: Final = ("synthetic-consultation", "consultation-completed")


class FailoverParameters(Parameters):
    to: str
    """The region that becomes the active one."""
    pair: str = ""
    """The failover pair; the one that `to` belongs to where it is left out."""
    planned: bool = False
    """A switchover while both regions are there: nothing is lost, and writes pause for a moment."""
    attest_old_region_is_off: str = ""
    """Who makes sure that the region that is left is off and stays off, and how they know: where nothing else proves
    that it takes no writes."""
    accept_loss: bool = False
    """Go on although acknowledged writes may be lost: where commits did not wait for the region that takes over."""


def _pair(parameters: FailoverParameters, platform: Platform) -> FailoverPair:
    if parameters.pair:
        pair = pair_named(platform, parameters.pair)
        if parameters.to not in (pair.primary, pair.standby):
            raise UsageError(
                f"{parameters.to!r} is no region of {pair.name}", hint=f"{pair.primary} or {pair.standby}"
            )
        return pair
    found = pair_of(platform, parameters.to)
    if found is None:
        raise UsageError(
            f"{parameters.to!r} is a region of no failover pair", hint=f"known: {', '.join(platform.regions)}"
        )
    return found


def _move(context: StepContext[Any]) -> Move:
    parameters: FailoverParameters = context.parameters
    pair = _pair(parameters, context.running.platform)
    return Move(
        pair,
        other_region(pair, parameters.to),
        parameters.to,
        parameters.planned,
        parameters.attest_old_region_is_off,
        parameters.accept_loss,
    )


def _targets(parameters: FailoverParameters, platform: Platform) -> tuple[Target, ...]:
    return (Target("pair", _pair(parameters, platform).name),)


def _regions(parameters: FailoverParameters, platform: Platform) -> tuple[str, ...]:
    pair = _pair(parameters, platform)
    return (pair.primary, pair.standby)


def _from_alert(labels: Mapping[str, str], platform: Platform) -> FailoverParameters | None:
    """The region that says so takes over from the one that it does not reach."""
    region, pair = labels.get(c.METRIC_REGION, ""), platform.pairs.get(labels.get(c.METRIC_PAIR, ""))
    if pair is None or region not in (pair.primary, pair.standby):
        return None
    return FailoverParameters(to=region, pair=pair.name)


def _from_budget(labels: Mapping[str, str], platform: Platform) -> FailoverParameters | None:
    """Consultations fail in the region that is active; its pair's other region takes over."""
    if labels.get(c.METRIC_RUNBOOK) != NAME:
        return None
    region = labels.get(c.METRIC_REGION, "")
    pair = pair_of(platform, region)
    if pair is None:
        return None
    return FailoverParameters(to=other_region(pair, region), pair=pair.name, planned=True)


DESCRIPTION: Final = """\
Use it when the active region is lost, or with `--planned` to leave it while it works (maintenance, a drill).

**Lost.** The region that is left must be known to acknowledge no write any more before the other one is promoted.
That is proven, in this order of preference: it is reached and says so itself; its commits waited for the other
region, as its guard last said; its lease has run out; a person says that it is off (`--attest-old-region-is-off`),
which is recorded. Without any of them the run refuses. Where commits did not wait, acknowledged writes may be lost:
the run says how much is known to be missing and refuses unless `--accept-loss` is given (or the pair's `rpo_seconds`
allow it).

**Planned.** A checkpoint first; then requests wait at the edge, the active region's database becomes a standby, the
other one is promoted with everything that was written, and the requests go on there. Nothing is lost. Calls that run
stay where they are; they may go on for the pair's `failover.drain_seconds`.

A target that is not certified for the data refuses, whatever is given; so do a split state (two regions that take
writes, or that disagree at the same token), a pair of which no region is reached, and clocks that differ. A planned
run refuses also when the target's workloads are not ready, its certificates end within a day, or its database is
behind; when the region is lost these are no reason to wait.

When it stops: nothing is undone. Before `promote` nobody may be taking writes; `vitalops runbook resume` goes on
where it stopped, and the same runbook with the other region leads back. After `promote` the new region takes writes
already.

When the lost region comes back its guard learns of the higher token before its database may be promoted, and makes it
a standby: see region-failback.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="Make the other region of a pair the active one, fenced and without a lost write.",
    description=DESCRIPTION,
    risk=Risk.DISRUPTS,
    parameters=FailoverParameters,
    example="vitalops runbook run region-failover --to fr-gra --planned",
    targets=_targets,
    regions=_regions,
    protects=SLIS,
    answers=(
        AlertBinding(c.ALERT_PEER_UNREACHABLE, _from_alert),
        AlertBinding(c.ALERT_BURN, _from_budget),
        AlertBinding(c.ALERT_EXHAUSTED, _from_budget),
    ),
    unattended=True,
    undoes_on_failure=False,
    rehearsal="tests/cluster/failover/test_failover.py",
    steps=moving_steps(_move),
)
