"""A stuck migration: who forgot a transaction is ended, who works is waited for, what failed is begun again."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from runbooks.stuck_migration import JOBS, RUNBOOK, MigrationParameters
from tests.unit.runbooks.drive import Drive
from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.backups import FakeBackups
from vitalops.ports.cluster import FakeCluster
from vitalops.ports.fakes import FakeRunning

JOB = f"{JOBS}/database-migrations-1"


@dataclass
class Locking:
    """A database that answers who holds migrations up; ending one lets the job complete."""

    cluster: FakeCluster
    held_by: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    ended: list[str] = field(default_factory=list[str])
    head: str = "0007"

    def query(self, database: str, sql: str, timeout: float = 10.0) -> list[dict[str, str]]:
        del database, timeout
        if "alembic_version" in sql:
            return [{"version_num": each} for each in self.head.split()]
        if "pg_terminate_backend" in sql:
            found = [row for row in self.held_by if f"pid = {row['pid']} AND" in sql and row["since"] in sql]
            self.ended += [row["pid"] for row in found]
            self.held_by = [row for row in self.held_by if row not in found]
            if not self.held_by and JOB in self.cluster.objects:
                self.cluster.objects[JOB] = job("Complete")
            return [{"ended": "true"} for _ in found]
        return list(self.held_by)


def job(condition: str = "") -> dict[str, object]:
    conditions = [{"type": condition, "status": "True"}] if condition else []
    return {
        "metadata": {"name": "database-migrations-1", "creationTimestamp": "2026-11-23T00:00:00Z"},
        "status": {"conditions": conditions},
    }


def holder(pid: str, state: str = "idle in transaction", seconds: str = "120") -> dict[str, str]:
    return {
        "pid": pid,
        "datname": "records",
        "application": "psql",
        "state": state,
        "since": f"2026-11-23 0{pid}:00",
        "seconds": seconds,
    }


def scene(platform: Platform, *held_by: dict[str, str], condition: str = "") -> tuple[FakeRunning, Locking]:
    cluster = FakeCluster("fr-par")
    cluster.objects[JOB] = job(condition)
    cluster.objects[f"{JOBS}/another"] = {"metadata": {"name": "another"}}
    database = Locking(cluster, list(held_by))
    running = FakeRunning(
        platform,
        clusters={"fr-par": cluster},
        stores={"fr-par": FakeBackups("fr-par", "fr-gra")},
        databases={"fr-par": database},  # type: ignore[dict-item]
    )
    return running, database


def drive(running: FakeRunning) -> Drive:
    return Drive(RUNBOOK, MigrationParameters(pair="france"), running)


def test_where_nothing_is_stuck_nothing_is_done(platform: Platform) -> None:
    running, database = scene(platform, condition="Complete")
    run = drive(running).run()
    assert [name for name, verdict in run.verdicts.items() if verdict.needed] == ["look"]
    assert database.ended == []
    assert running.effects == []


def test_forgotten_transactions_are_ended_and_the_migration_goes_on(platform: Platform) -> None:
    running, database = scene(platform, holder("1"), holder("2"))
    run = drive(running).run()
    assert database.ended == ["1", "2"]
    assert run.outputs["unblock"]["ended"][0].startswith("psql in records (pid 1, idle in transaction")
    assert not run.check("unblock").needed
    assert not run.check("finish").needed
    assert running.effects == []


@pytest.mark.parametrize("who", [holder("1", "active"), holder("1", seconds="2")])
def test_who_works_or_has_only_just_paused_is_waited_for_and_named(
    platform: Platform, who: dict[str, str]
) -> None:
    running, database = scene(platform, who)
    with pytest.raises(GateFailed, match=r"held up by psql in records \(pid 1"):
        drive(running).run()
    assert database.ended == []


def test_what_failed_is_removed_and_run_anew(platform: Platform) -> None:
    running, _ = scene(platform, condition="Failed")
    cluster = running.clusters["fr-par"]

    def up(regions: tuple[str, ...]) -> str:
        assert JOB not in cluster.objects
        cluster.objects[JOB] = job("Complete")
        return "1 object changed"

    running.brings_up = up
    run = drive(running).run()
    assert run.outputs["clear"] == {"removed": ["database-migrations-1"]}
    assert run.outputs["finish"]["brought_up"] == "1 object changed"
    assert set(run.outputs["finish"]["heads"].values()) == {"0007"}
    assert running.effects == ["up fr-par"]
    run.step("clear").apply(run.context("clear"))
    run.step("finish").apply(run.context("finish"))
    assert running.effects == ["up fr-par"]


def test_what_fails_again_is_told_with_where_its_log_is(platform: Platform) -> None:
    running, _ = scene(platform, condition="Failed")
    cluster = running.clusters["fr-par"]

    def up(regions: tuple[str, ...]) -> str:
        cluster.objects[JOB] = job("Failed")
        return ""

    running.brings_up = up
    with pytest.raises(GateFailed, match="database-migrations-1 failed again: see its log"):
        drive(running).run()


def test_two_heads_are_a_finding(platform: Platform) -> None:
    running, database = scene(platform)
    run = drive(running).run(until="clear")
    running.clusters["fr-par"].objects[JOB] = job("Complete")
    database.head = "0007 0008"
    with pytest.raises(GateFailed, match="no single schema revision in the databases of identity"):
        run.step("finish").verify(run.context("finish"))


def test_a_negative_time_is_refused(platform: Platform) -> None:
    with pytest.raises(UsageError):
        RUNBOOK.regions(MigrationParameters(pair="france", idle_seconds=-1), platform)
