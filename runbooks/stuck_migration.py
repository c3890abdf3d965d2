"""A schema migration that does not end: who holds it up, and how it is let through or begun again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
from vitalops import conventions as c
from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.model.selection import services_of
from vitalops.ports.cluster import ApiError, Json

NAME: Final = "stuck-migration"
MIGRATIONS: Final = "database-migrations"
JOBS: Final = f"/apis/batch/v1/namespaces/{c.NAMESPACE_DATA}/jobs"

# Migrations connect as `migrate`. Who stands in their way, at any distance: whoever they wait for may wait as well.
_HOLDERS: Final = """
WITH RECURSIVE chain(pid, holder) AS (
    SELECT a.pid, b.pid FROM pg_stat_activity a, unnest(pg_blocking_pids(a.pid)) AS b(pid)
     WHERE a.application_name = 'migrate'
  UNION
    SELECT chain.pid, b.pid FROM chain, unnest(pg_blocking_pids(chain.holder)) AS b(pid)
)
SELECT DISTINCT h.pid::text, h.datname, coalesce(h.application_name, '') AS application, coalesce(h.state, '') AS state,
       h.backend_start::text AS since,
       round(extract(epoch FROM clock_timestamp() - coalesce(h.state_change, h.backend_start)))::text AS seconds
  FROM chain JOIN pg_stat_activity h ON h.pid = chain.holder
 WHERE cardinality(pg_blocking_pids(h.pid)) = 0 AND h.application_name <> 'migrate'
 ORDER BY 1
"""
_END: Final = (
    "SELECT pg_terminate_backend(pid)::text AS ended FROM pg_stat_activity"
    " WHERE pid = {pid} AND backend_start::text = '{since}'"
)


class MigrationParameters(Parameters):
    pair: str
    """The pair whose migration is stuck."""
    idle_seconds: int = 30
    """A session that holds the migration up is ended when it has been idle in its transaction for so long."""


Context = StepContext[MigrationParameters]


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that a migration waits for. What it asked the database is not looked at."""

    pid: str
    database: str
    application: str
    state: str
    since: str
    seconds: float

    @property
    def idle(self) -> bool:
        return self.state.startswith("idle in transaction")

    def __str__(self) -> str:
        who = self.application or "a session without a name"
        return f"{who} in {self.database} (pid {self.pid}, {self.state} for {self.seconds:g} s)"


def holders(context: Context) -> tuple[Holder, ...]:
    rows = context.running.database(_region(context)).query("postgres", _HOLDERS)
    return tuple(
        Holder(
            row["pid"], row["datname"], row["application"], row["state"], row["since"], float(row["seconds"])
        )
        for row in rows
    )


def _region(context: Context) -> str:
    known = context.outputs.get("look", {}).get("region")
    return str(known) if known else writing_region(context.running, context.parameters.pair)


def _jobs(context: Context) -> list[Json]:
    """Jobs of migrations, the newest last."""
    found = context.running.cluster(_region(context)).request(
        "GET", JOBS, query={"labelSelector": f"{c.LABEL_NAME}={MIGRATIONS}"}
    )
    jobs = [job for job in found["items"] if job["metadata"]["name"].startswith(MIGRATIONS)]
    return sorted(jobs, key=lambda job: str(job["metadata"].get("creationTimestamp", "")))


def condition(job: Json) -> str:
    """`complete`, `failed` or `running`."""
    for each in job.get("status", {}).get("conditions", ()):
        if each.get("status") == "True" and each.get("type") in ("Complete", "Failed"):
            return str(each["type"]).lower()
    return "running"


def _look_check(context: Context) -> Verdict:
    return Verdict.due(
        f"jobs and locks of {writing_region(context.running, context.parameters.pair)} are read"
    )


def _look(context: Context) -> Output:
    region = writing_region(context.running, context.parameters.pair)
    found = holders(context)
    jobs = {job["metadata"]["name"]: condition(job) for job in _jobs(context)}
    return {"region": region, "jobs": jobs, "holders": [str(holder) for holder in found]}


def _unblock_check(context: Context) -> Verdict:
    found = holders(context)
    if not found:
        return Verdict.done("no migration waits for anybody")
    changes = tuple(Change(str(holder), "goes on", "ended") for holder in found if holder.idle)
    return Verdict.due(f"{len(found)} sessions hold a migration up", *changes)


def _unblock(context: Context) -> Output:
    """Ends sessions that are idle in a transaction. Raises GateFailed for one that works: that is no fault of its."""
    ended: list[str] = []
    least = context.parameters.idle_seconds

    def free() -> str:
        waiting: list[str] = []
        for holder in holders(context):
            if not holder.idle or holder.seconds < least:
                waiting.append(str(holder))
                continue
            # A pid may have become somebody else's since.
            context.running.database(_region(context)).query(
                "postgres",
                _END.format(pid=int(holder.pid), since=holder.since.replace("'", "''")),
            )
            ended.append(str(holder))
        return f"held up by {', '.join(waiting)}" if waiting else ""

    wait_until(context, "the migration's locks", free)
    return {"ended": ended}


def _unblocked(context: Context) -> None:
    left = holders(context)
    if left:
        raise GateFailed(f"the migration is still held up by {', '.join(map(str, left))}")


def _clear_check(context: Context) -> Verdict:
    failed = [job["metadata"]["name"] for job in _jobs(context) if condition(job) == "failed"]
    if not failed:
        return Verdict.done("no migration has failed")
    changes = (Change(name, "failed", "removed") for name in failed)
    return Verdict.due(f"{len(failed)} failed jobs stand in the way of a new one", *changes)


def _clear(context: Context) -> Output:
    cluster, removed = context.running.cluster(_region(context)), list[str]()
    for job in _jobs(context):
        if condition(job) != "failed":
            continue
        name = job["metadata"]["name"]
        try:
            cluster.request("DELETE", f"{JOBS}/{name}", query={"propagationPolicy": "Background"})
        except ApiError as error:
            if error.status != 404:
                raise
        removed.append(name)
    return {"removed": removed}


def _cleared(context: Context) -> None:
    def gone() -> str:
        return ", ".join(job["metadata"]["name"] for job in _jobs(context) if condition(job) == "failed")

    wait_until(context, "failed jobs go", gone)


def _finish_check(context: Context) -> Verdict:
    jobs = _jobs(context)
    if jobs and condition(jobs[-1]) == "complete":
        return Verdict.done(f"{jobs[-1]['metadata']['name']} is complete")
    if jobs:
        return Verdict.due(f"{jobs[-1]['metadata']['name']} is waited for")
    return Verdict.due("the migration is run anew by `up`", Change("migration", "absent", "complete"))


def _finish(context: Context) -> Output:
    region, told = _region(context), ""
    if not _jobs(context):
        told = context.running.bring_up((region,), context.progress)

    def over() -> str:
        jobs = _jobs(context)
        if not jobs:
            return "there is no job"
        last = condition(jobs[-1])
        if last == "failed":
            raise GateFailed(
                f"{jobs[-1]['metadata']['name']} failed again: see its log (kubectl -n {c.NAMESPACE_DATA} logs "
                f"job/{jobs[-1]['metadata']['name']} -c migrate)"
            )
        return "" if last == "complete" else "running"

    wait_until(context, "the migration", over)
    return {"brought_up": told, "heads": heads(context)}


def heads(context: Context) -> dict[str, str]:
    """Schema revision of each service's database."""
    platform, pair = context.running.platform, context.parameters.pair
    database = context.running.database(_region(context))
    found: dict[str, str] = {}
    for service in services_of(platform, pair):
        if service.database:
            rows = database.query(service.name, "SELECT version_num FROM alembic_version ORDER BY 1")
            found[service.name] = " ".join(row["version_num"] for row in rows)
    return found


def _finished(context: Context) -> None:
    jobs = _jobs(context)
    if not jobs or condition(jobs[-1]) != "complete":
        raise GateFailed("the migration is not complete")
    without = [name for name, head in heads(context).items() if not head or " " in head]
    if without:
        raise GateFailed(f"no single schema revision in the databases of {', '.join(without)}")


def _targets(parameters: MigrationParameters, platform: Platform) -> tuple[Target, ...]:
    require_pair(platform, parameters.pair)
    return (Target("pair", parameters.pair),)


def _regions(parameters: MigrationParameters, platform: Platform) -> tuple[str, ...]:
    pair = require_pair(platform, parameters.pair)
    if parameters.idle_seconds < 0:
        raise UsageError("--idle-seconds is less than 0")
    return (pair.primary, pair.standby)


DESCRIPTION: Final = """\
Use it when `vitalops up` waits for the job `database-migrations-...`, or that job has failed.

A migration takes locks that any open transaction on the same table keeps from it, and everybody who comes later waits
behind it: what looks like a slow release is soon an outage. The run shows who holds it up. A session that is *idle in
its transaction* has forgotten to end it and is ended, which rolls its transaction back; one that *works* is waited for
and never ended: when the step's time is over, the run stops and names it.

A job that has failed (its database was away, or its time ran out) is removed and begun anew by `up` on the region. A
migration that fails again has a fault of its own: the run stops and says where its log is.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="A schema migration that hangs or has failed is let through or begun again",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=MigrationParameters,
    example="vitalops runbook run stuck-migration --pair france",
    targets=_targets,
    regions=_regions,
    protects=("answered",),
    undoes_on_failure=False,
    steps=(
        Step(
            name="look",
            summary="Which jobs there are, and who holds them up",
            limit_seconds=60,
            check=_look_check,
            apply=_look,
            reads_only=True,
        ),
        Step(
            name="unblock",
            summary="Sessions that forgot to end their transaction are ended",
            limit_seconds=300,
            check=_unblock_check,
            apply=_unblock,
            verify=_unblocked,
            lasting="a session that was ended connects again by itself",
        ),
        Step(
            name="clear",
            summary="Jobs that failed are gone",
            limit_seconds=60,
            check=_clear_check,
            apply=_clear,
            verify=_cleared,
            lasting="a failed job holds nothing but its log",
        ),
        Step(
            name="finish",
            summary="The migration is complete, every schema at one revision",
            limit_seconds=1200,
            check=_finish_check,
            apply=_finish,
            verify=_finished,
            lasting="migrations are only ever carried forward",
        ),
    ),
    rehearsal="tests/cluster/runbooks/test_stuck_migration.py",
    tags=("database",),
)
