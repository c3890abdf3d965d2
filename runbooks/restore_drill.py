"""Proof that the backups can be restored: to a moment, from the repository alone, compared with what was there then."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from runbooks.common.recovery import require_pair, writing_region
from runbooks.common.waiting import wait_until
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
from vitalops.model.residency import placement_gaps
from vitalops.ports.backups import (
    Fingerprint,
    Fingerprints,
    RegionBackups,
    RestorePhase,
    RestoreState,
    RestoreTarget,
    TargetKind,
)

NAME: Final = "restore-drill"
SHOWN: Final = 5
"""Tables that are named where they differ."""


class DrillParameters(Parameters):
    pair: str
    """The pair whose backups are restored."""
    at: str = ""
    """A moment to restore to (ISO 8601 with its zone); empty: now, compared with the living database by checksums."""


Context = StepContext[DrillParameters]


def digest(table: Fingerprint) -> str:
    """A table's rows and hashes in a few letters, for the journal."""
    return sha256(f"{table.rows}:{table.hashes}".encode()).hexdigest()[:16]


def digest_of(tables: Mapping[str, Any]) -> str:
    """One for all tables."""
    lines = "\n".join(f"{name} {value}" for name, value in sorted(tables.items()))
    return sha256(lines.encode()).hexdigest()[:16]


def _digests(found: Fingerprints) -> dict[str, str]:
    return {name: f"{table.rows} rows {digest(table)}" for name, table in sorted(found.items())}


def _moment(context: Context) -> datetime | None:
    """The moment that was asked for. Raises UsageError for what is none."""
    at = context.parameters.at
    if not at:
        return None
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        raise UsageError(f"{at!r} is no moment", hint="as 2026-11-23T02:00:00Z") from None
    if found.tzinfo is None:
        raise UsageError(f"{at} names no time zone", hint=f"for UTC: {at}Z")
    return found.astimezone(UTC)


def _source(context: Context) -> RegionBackups:
    known = context.outputs.get("choose", {}).get("region")
    region = str(known) if known else writing_region(context.running, context.parameters.pair)
    return context.running.backups(region)


def _choose_check(context: Context) -> Verdict:
    moment, source = _moment(context), _source(context)
    platform, pair = context.running.platform, context.parameters.pair
    today = context.running.clock.now().date()
    for service in platform.services.values():
        if service.pairs is not None and pair not in service.pairs:
            continue
        gaps = placement_gaps(platform.regions[source.holder], service.data_class, today)
        if gaps:
            raise UsageError(
                f"{source.holder} {gaps[0].problem}: {service.data_class} data must not be restored there",
                hint=gaps[0].remedy,
            )
    state = source.state()
    if state.problem:
        raise UsageError(
            f"region {source.region}: {state.problem}", hint="see: vitalops runbook run backup-now"
        )
    if not state.backups:
        raise UsageError(f"region {source.region} has no backup yet", hint="vitalops runbook run backup-now")
    if moment is not None:
        oldest = min(backup.ended for backup in state.backups)
        if not oldest <= moment < context.running.clock.now():
            raise UsageError(
                f"{moment.isoformat()} cannot be restored",
                hint=f"between {oldest.isoformat(timespec='seconds')} and now",
            )
    return Verdict.due(f"{source.region}'s repository, in {source.holder}, has {len(state.backups)} backups")


def _choose(context: Context) -> Output:
    source = _source(context)
    state = source.state()
    newest = state.last
    return {
        "region": source.region,
        "holder": source.holder,
        "backups": len(state.backups),
        "newest": newest.label if newest else "",
        "encrypted": state.encrypted,
    }


def _point_name(context: Context) -> str:
    # Recovery stops at the first point of a name: one that an attempt before left must not be it.
    return f"drill-{context.facts.run}-{int(context.running.clock.now().timestamp() * 1000)}"


def _mark_check(context: Context) -> Verdict:
    return Verdict.due(
        "a restore point is written, and every table's checksum at it is kept",
        Change("writers", "go on", "wait for some milliseconds at most"),
    )


def _mark(context: Context) -> Output:
    point = _source(context).point(_point_name(context), context.seconds - 5)
    tables = _digests(point.fingerprints)
    return {
        "name": point.name,
        "position": point.position,
        "at": point.at.isoformat(),
        "tables": tables,
        "digest": digest_of(tables),
    }


def _target(context: Context) -> RestoreTarget:
    moment = _moment(context)
    if moment is None:
        return RestoreTarget(TargetKind.NAME, str(context.outputs["mark"]["name"]))
    return RestoreTarget(TargetKind.TIME, moment.isoformat())


def _restore_check(context: Context) -> Verdict:
    source, run = _source(context), context.facts.run
    state = source.restore_state(run) if run else RestoreState(RestorePhase.ABSENT)
    if state.phase is RestorePhase.READY:
        return Verdict.done("restored already", _facts(state))
    return Verdict.due(
        f"into a namespace of its own in {source.holder}",
        Change(f"vitalops-restore-{run or 'RUN'} in {source.holder}", "absent", "a read-only copy"),
    )


def _restore(context: Context) -> Output:
    source, run = _source(context), context.facts.run
    namespace = source.begin_restore(run, _target(context))
    last = RestoreState(RestorePhase.ABSENT)

    def reached() -> str:
        nonlocal last
        last = source.restore_state(run)
        if last.phase is RestorePhase.FAILED:
            return ""
        return "" if last.phase is RestorePhase.READY else str(last.phase)

    wait_until(context, namespace, reached, poll=0.5)
    if last.phase is RestorePhase.FAILED:
        raise GateFailed(f"the restore failed: {last.problem}")
    return {"namespace": namespace, **_facts(last)}


def _facts(state: RestoreState) -> dict[str, Any]:
    return {
        "label": state.label,
        "bytes": state.bytes,
        "copied_seconds": state.copied_seconds,
        "recovered_seconds": state.recovered_seconds,
        "position": state.position,
        "moment": state.moment,
    }


def _restored(context: Context) -> None:
    state = _source(context).restore_state(context.facts.run)
    if state.phase is not RestorePhase.READY:
        raise GateFailed(f"the restored database is {state.phase}: {state.problem or 'not ready'}")


def _remove(context: Context) -> None:
    _source(context).end_restore(context.facts.run, context.seconds - 5)


def _compare_check(context: Context) -> Verdict:
    del context
    return Verdict.due("every table of the copy is read")


def _compare(context: Context) -> Output:
    """Raises GateFailed where a table differs from what the source held at the restore point."""
    found = _digests(_source(context).restored(context.facts.run, context.seconds - 5))
    if not found:
        raise GateFailed("the restored database holds no table")
    told: dict[str, Any] = {"tables": len(found), "digest": digest_of(found)}
    moment = _moment(context)
    if moment is not None:
        return {**told, "compared": False, "target": moment.isoformat(), "held": found}
    mark = context.outputs["mark"]
    expected: Mapping[str, str] = mark["tables"]
    wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise GateFailed(f"restored tables differ from the source: {', '.join(wrong[:SHOWN])}{more}")
    return {**told, "compared": True, "equal": True, "target": mark["at"], "position": mark["position"]}


def _remove_check(context: Context) -> Verdict:
    run = context.facts.run
    if run and _source(context).restore_state(run).phase is RestorePhase.ABSENT:
        return Verdict.done("the namespace is gone")
    return Verdict.due("the copy goes, with its namespace")


def _remove_step(context: Context) -> Output:
    _remove(context)
    return {}


def _removed(context: Context) -> None:
    if _source(context).restore_state(context.facts.run).phase is not RestorePhase.ABSENT:
        raise GateFailed("the copy is still there")


def _targets(parameters: DrillParameters, platform: Platform) -> tuple[Target, ...]:
    require_pair(platform, parameters.pair)
    return (Target("backups", parameters.pair),)


def _regions(parameters: DrillParameters, platform: Platform) -> tuple[str, ...]:
    pair = require_pair(platform, parameters.pair)
    return (pair.primary, pair.standby)


DESCRIPTION: Final = """\
Use it regularly (a backup that was never restored is none), and with `--at` to look at what was there at a moment.

The copy is made in the region that *holds* the repository, which is the pair's other one, as it would be after the loss
of the source: from the repository and its keys alone. That region must be certified for the data, or the run is
refused. It gets a namespace of its own, with a network policy that lets the copy reach the repository and nothing else;
PostgreSQL starts there read-only, archives nothing, and answers in its pod alone.

Without `--at` the moment is a restore point written now. Writers of the source wait for at most 0.3 s while every
table's checksum is fixed; the copy, recovered to exactly that point, must have the same rows. The journal keeps the
backup's label, the point, sizes, seconds and digests, and no word of the data. With `--at` there is nothing living to
compare with: rows are counted.

The namespace goes at the end, and also when a step fails or the run is undone.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="The newest backup is restored to a moment beside the platform, and proven equal to the source",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=DrillParameters,
    example="vitalops runbook run restore-drill --pair france",
    targets=_targets,
    regions=_regions,
    steps=(
        Step(
            name="choose",
            summary="The repository can be restored, where the data may be",
            limit_seconds=120,
            check=_choose_check,
            apply=_choose,
            reads_only=True,
        ),
        Step(
            name="mark",
            summary="A moment is marked, and what every table holds at it",
            limit_seconds=900,
            check=_mark_check,
            apply=_mark,
            lasting="a restore point is a name in the WAL",
        ),
        Step(
            name="restore",
            summary="The backup is restored to the moment, read-only",
            limit_seconds=3600,
            check=_restore_check,
            apply=_restore,
            verify=_restored,
            undo=_remove,
        ),
        Step(
            name="compare",
            summary="Every table of the copy is as it was",
            limit_seconds=900,
            check=_compare_check,
            apply=_compare,
            lasting="it only reads",
        ),
        Step(
            name="remove",
            summary="The copy is gone",
            limit_seconds=180,
            check=_remove_check,
            apply=_remove_step,
            verify=_removed,
            lasting="the copy can be made again",
        ),
    ),
    rehearsal="tests/cluster/runbooks/test_restore_drill.py",
    tags=("backups",),
)
