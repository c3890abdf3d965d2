"""Replace the member that leads a region's database: another one takes over, or the only one starts anew."""

from __future__ import annotations

from typing import Any, Final

from runbooks.common.workloads import require_region
from runbooks.engine.model import (
    Change,
    Output,
    Parameters,
    Risk,
    Runbook,
    Step,
    StepContext,
    Target,
    Verdict,
)
from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.database import DatabaseRole

NAME: Final = "database-leader-replace"
REPLACE_SECONDS: Final = 60.0


class ReplaceParameters(Parameters):
    region: str
    """The region whose database gets another leader."""


Context = StepContext[ReplaceParameters]


def _started(context: Context) -> str:
    """When the leader's PostgreSQL was started, by its own clock: how a restart is told from none."""
    sql = "SELECT pg_postmaster_start_time()::text AS started"
    rows = context.running.database(context.parameters.region).query("postgres", sql)
    return rows[0]["started"] if rows else ""


def _look_check(context: Context) -> Verdict:
    region = context.parameters.region
    state = context.running.database(region).state()
    if state.role is DatabaseRole.NONE or not state.leader:
        raise UsageError(f"the database of {region} has no leader", hint=f"see: vitalops status {region}")
    if state.members > 1 and state.running < state.members:
        raise UsageError(
            f"{state.running} of {state.members} members of {region} run: there may be nobody to take over",
            hint="wait until all members run",
        )
    alone = state.members <= 1
    facts: dict[str, Any] = {
        "leader": state.leader,
        "role": state.role.value,
        "members": state.members,
        "timeline": state.timeline,
        "started": _started(context) if alone else "",
    }
    what = "is the only member and starts anew" if alone else "hands over to another member"
    return Verdict.due(f"{state.leader} {what}", facts=facts)


def _replace_check(context: Context) -> Verdict:
    before = context.outputs["look"]
    state = context.running.database(context.parameters.region).state()
    if (
        int(before["members"]) > 1
        and state.leader not in ("", before["leader"])
        and state.role.value == before["role"]
    ):
        return Verdict.done(f"{state.leader} leads")
    if int(before["members"]) <= 1 and (started := _started(context)) != before["started"]:
        return Verdict.done(f"{state.leader} was started anew at {started}")
    after = "the same, started anew" if int(before["members"]) <= 1 else "another member"
    return Verdict.due("replace the leader", Change("leader", str(before["leader"]), after))


def _replace(context: Context) -> Output:
    clock = context.running.clock
    began = clock.monotonic()
    leader = context.running.database(context.parameters.region).replace_leader(
        context.facts.token, REPLACE_SECONDS
    )
    return {"leader": leader, "seconds": round(clock.monotonic() - began, 3)}


def _replace_verify(context: Context) -> None:
    before = context.outputs["look"]
    clock, database = context.running.clock, context.running.database(context.parameters.region)
    end = clock.monotonic() + context.seconds / 2
    while True:
        state = database.state()
        other = int(before["members"]) <= 1 or state.leader != before["leader"]
        if state.role.value == before["role"] and state.leader and other:
            return
        if clock.monotonic() >= end:
            raise GateFailed(
                f"the database of {context.parameters.region} is {state.role}, led by {state.leader or 'nobody'}"
            )
        clock.sleep(0.5)


def _targets(parameters: ReplaceParameters, platform: Platform) -> tuple[Target, ...]:
    require_region(platform, parameters.region)
    return (Target("region", parameters.region),)


DESCRIPTION: Final = """\
Use it when the member that leads a region's database misbehaves: it is slow, its disk is ill, or its node is to be
emptied. Patroni hands over to another member of the same region; where there is only one, its PostgreSQL is
restarted. Clients lose their connections and make new ones.

It does not move the pair: for that see region-failover.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="Let another member lead a region's database, or start the only one anew.",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=ReplaceParameters,
    example="vitalops runbook run database-leader-replace --region fr-gra",
    targets=_targets,
    regions=lambda parameters, _: (parameters.region,),
    protects=("answered",),
    rehearsal="tests/cluster/runbooks/test_database_leader_replace.py",
    steps=(
        Step(
            name="look",
            summary="See who leads, and whether another member could.",
            limit_seconds=20,
            check=_look_check,
            apply=lambda _: {},
            lasting="only reads",
            reads_only=True,
        ),
        Step(
            name="replace",
            summary="Hand over, and wait until the new leader works.",
            limit_seconds=REPLACE_SECONDS * 2,
            check=_replace_check,
            apply=_replace,
            verify=_replace_verify,
            lasting="any member may lead",
        ),
    ),
)
