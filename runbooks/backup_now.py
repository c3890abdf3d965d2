"""A backup made now, and seen to be usable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from runbooks.common.recovery import require_pair, writing_region
from runbooks.engine.model import (
    AlertBinding,
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
from vitalops import conventions as c
from vitalops.errors import GateFailed, RemoteError
from vitalops.model.platform import Platform
from vitalops.ports.backups import Backup, BackupState

NAME: Final = "backup-now"
MARGIN: Final = 10.0
"""Seconds of a step's limit that are kept for the looks before and after."""


class BackupParameters(Parameters):
    pair: str
    """The pair whose writing region is backed up."""
    kind: Literal["full", "diff", "incr"] = "incr"
    """`full`, `diff` (since the last full one) or `incr` (since the last one)."""


Context = StepContext[BackupParameters]


def _state(context: Context) -> BackupState:
    return context.running.backups(_region(context)).state()


def _region(context: Context) -> str:
    known = context.outputs.get("look", {}).get("region")
    return str(known) if known else writing_region(context.running, context.parameters.pair)


def _look_check(context: Context) -> Verdict:
    return Verdict.due(
        f"the repository of {writing_region(context.running, context.parameters.pair)} is read"
    )


def _look(context: Context) -> Output:
    region = writing_region(context.running, context.parameters.pair)
    state = context.running.backups(region).state()
    if state.problem:
        raise RemoteError(
            f"region {region}: {state.problem}",
            hint=f"is the S3 server of {context.running.backups(region).holder} ready? see: vitalops status",
        )
    if not state.encrypted:
        raise GateFailed(f"region {region}: its repository is not encrypted")
    last = state.last
    return {
        "region": region,
        "backups": len(state.backups),
        "last": last.label if last else "",
        "waiting_segments": state.archiving.waiting if state.archiving else 0,
    }


def _ours(context: Context, state: BackupState) -> Backup | None:
    return next(
        (each for each in state.backups if context.facts.run and each.mark == context.facts.run), None
    )


def _make_check(context: Context) -> Verdict:
    state = _state(context)
    made = _ours(context, state)
    if made is not None:
        return Verdict.done(f"{made.label} was made by this run")
    last = state.last
    before = f"{last.label}, ended {last.ended:%Y-%m-%d %H:%M} UTC" if last else "none"
    kind = context.parameters.kind if state.backups else "full"
    return Verdict.due(
        f"a {kind} backup of {state.region} is made",
        Change(f"newest backup of {state.region}", before, f"a {kind} one of now"),
    )


def _make(context: Context) -> Output:
    made = context.running.backups(_region(context)).make(
        context.parameters.kind, context.seconds - MARGIN, context.facts.run
    )
    return {
        "label": made.label,
        "kind": made.kind,
        "seconds": round((made.ended - made.started).total_seconds(), 3),
        "database_bytes": made.database_bytes,
        "stored_bytes": made.stored_bytes,
    }


def _verify(context: Context) -> None:
    state = _state(context)
    if state.problem:
        raise GateFailed(f"region {state.region}: {state.problem}")
    if _ours(context, state) is None:
        raise GateFailed(f"region {state.region}: the backup of this run is not in the repository")


def _targets(parameters: BackupParameters, platform: Platform) -> tuple[Target, ...]:
    require_pair(platform, parameters.pair)
    # Not the pair itself: a backup that runs must not keep anybody from failing over.
    return (Target("backups", parameters.pair),)


def _regions(parameters: BackupParameters, platform: Platform) -> tuple[str, ...]:
    pair = require_pair(platform, parameters.pair)
    return (pair.primary, pair.standby)


def _from_alert(labels: Mapping[str, str], platform: Platform) -> BackupParameters | None:
    pair = labels.get(c.METRIC_PAIR, "")
    return BackupParameters(pair=pair) if pair in platform.pairs else None


DESCRIPTION: Final = """\
Use it before a change that may go wrong, and when `BackupStale` fires.

It reads the repository first: where that is not reached, or holds another database, the run stops there and says why;
then the S3 server of the pair's other region is what to look at (`vitalops status`, `vitalops logs`). The backup itself
is made by the container `backup` beside the primary; a run that is cut off finds its backup again by the run's name.
What the retention rule (`backups.keep_full`) no longer keeps is let go of when a full backup ends.

Nobody notices a backup but by some load on the database's disk. There is nothing to undo.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="A backup of the pair's database is made now, encrypted, in the other region",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=BackupParameters,
    example="vitalops runbook run backup-now --pair france --kind full",
    targets=_targets,
    regions=_regions,
    answers=(AlertBinding(c.ALERT_BACKUP_STALE, _from_alert, starts=True),),
    steps=(
        Step(
            name="look",
            summary="The repository is reached, is this database's, and is encrypted",
            limit_seconds=120,
            check=_look_check,
            apply=_look,
            reads_only=True,
        ),
        Step(
            name="make",
            summary="The backup is made, and what is too old is let go of",
            limit_seconds=3600,
            check=_make_check,
            apply=_make,
            verify=_verify,
            lasting="a backup more harms nobody, and its expiry is the retention rule's",
        ),
    ),
    rehearsal="tests/cluster/runbooks/test_backup_now.py",
    tags=("backups",),
)
