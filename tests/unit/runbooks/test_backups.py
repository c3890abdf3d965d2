"""Backups on request and restore drills, on the fakes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runbooks import backup_now, restore_drill
from runbooks.backup_now import BackupParameters
from runbooks.restore_drill import DrillParameters
from tests.unit.runbooks.drive import FACTS, Drive
from vitalops.conventions import METRIC_PAIR
from vitalops.errors import GateFailed, RemoteError, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.backups import Archiving, FakeBackups, Fingerprint, Fingerprints, RestorePhase
from vitalops.ports.clock import FakeClock
from vitalops.ports.fakes import FakeRunning

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
TABLES = {"records.public.note": Fingerprint(3, "-12"), "audit.public.entry": Fingerprint(9, "77")}


def scene(platform: Platform, writing: str = "fr-par") -> tuple[FakeRunning, FakeBackups]:
    """France with one full backup of the region that writes."""
    clock = FakeClock(NOW)
    stores = {
        region: FakeBackups(region, holder, tables=dict(TABLES), now=lambda: NOW - timedelta(hours=1))
        for region, holder in (("fr-par", "fr-gra"), ("fr-gra", "fr-par"))
    }
    for region, store in stores.items():
        store.leaving = Archiving(0, 0.0, "", 1) if region == writing else None
    stores[writing].make("full", 1.0)
    return FakeRunning(platform, clock=clock, stores=dict(stores)), stores[writing]


def test_a_backup_is_made_once_by_one_run(platform: Platform) -> None:
    running, store = scene(platform)
    run = Drive(backup_now.RUNBOOK, BackupParameters(pair="france"), running).run()
    assert run.outputs["look"]["region"] == "fr-par"
    assert run.outputs["make"]["kind"] == "incr"
    assert store.made == 2
    assert not run.check("make").needed
    run.step("make").apply(run.context("make"))
    assert store.made == 2
    assert store.kept[-1].mark == FACTS.run


def test_after_a_failover_the_other_region_is_backed_up(platform: Platform) -> None:
    running, store = scene(platform, writing="fr-gra")
    run = Drive(backup_now.RUNBOOK, BackupParameters(pair="france", kind="full"), running).run()
    assert run.outputs["look"]["region"] == store.region == "fr-gra"
    assert store.made == 2


def test_a_backup_that_is_not_there_afterwards_is_noticed(platform: Platform) -> None:
    running, store = scene(platform)
    run = Drive(backup_now.RUNBOOK, BackupParameters(pair="france"), running).run()
    store.kept.pop()
    with pytest.raises(GateFailed, match="the backup of this run is not in the repository"):
        run.step("make").verify(run.context("make"))


def test_a_repository_that_cannot_be_used_is_told_before_anything_is_done(platform: Platform) -> None:
    running, store = scene(platform)
    store.problem = "unable to connect"
    with pytest.raises(RemoteError, match=r"fr-par: unable to connect .*fr-gra"):
        Drive(backup_now.RUNBOOK, BackupParameters(pair="france"), running).run()
    assert store.made == 1


@pytest.mark.parametrize("book", [backup_now.RUNBOOK, restore_drill.RUNBOOK])
def test_an_unknown_pair_is_refused(platform: Platform, book: object) -> None:
    assert book in (backup_now.RUNBOOK, restore_drill.RUNBOOK)
    with pytest.raises(UsageError, match=r"there is no pair 'frence' .*france"):
        backup_now.RUNBOOK.targets(BackupParameters(pair="frence"), platform)
    with pytest.raises(UsageError, match="there is no pair"):
        restore_drill.RUNBOOK.targets(DrillParameters(pair="frence"), platform)


def test_nobody_writes(platform: Platform) -> None:
    running, store = scene(platform)
    store.leaving = None
    with pytest.raises(RemoteError, match="pair france: nobody writes: fr-par is no primary; fr-gra is no"):
        Drive(backup_now.RUNBOOK, BackupParameters(pair="france"), running).run()


def test_the_alert_names_the_pair(platform: Platform) -> None:
    (binding,) = backup_now.RUNBOOK.answers
    assert binding.parameters({METRIC_PAIR: "france"}, platform) == BackupParameters(pair="france")
    assert binding.parameters({METRIC_PAIR: "nowhere"}, platform) is None


def drill(running: FakeRunning, at: str = "") -> Drive:
    return Drive(restore_drill.RUNBOOK, DrillParameters(pair="france", at=at), running)


def test_a_drill_compares_every_table_and_leaves_nothing(platform: Platform) -> None:
    running, store = scene(platform)
    run = drill(running).run()
    assert run.outputs["choose"]["holder"] == "fr-gra"
    assert run.outputs["compare"]["equal"] is True
    assert run.outputs["compare"]["tables"] == 2
    assert run.outputs["mark"]["digest"] == run.outputs["compare"]["digest"]
    assert store.restores == {}
    assert not run.check("remove").needed


def _one_row_less(found: Fingerprints) -> Fingerprints:
    found["records.public.note"] = replace(found["records.public.note"], rows=2)
    return found


def _other_text(found: Fingerprints) -> Fingerprints:
    found["audit.public.entry"] = Fingerprint(9, "78")
    return found


def _no_table(found: Fingerprints) -> Fingerprints:
    del found["audit.public.entry"]
    return found


@pytest.mark.parametrize(
    ("spoils", "named"),
    [
        (_one_row_less, "records.public.note"),
        (_other_text, "audit.public.entry"),
        (_no_table, "audit.public.entry"),
    ],
)
def test_a_copy_that_differs_is_a_finding_and_is_removed(
    platform: Platform, spoils: object, named: str
) -> None:
    running, store = scene(platform)
    store.spoils = spoils  # type: ignore[assignment]
    run = drill(running)
    with pytest.raises(GateFailed, match=f"restored tables differ from the source: {named}"):
        run.run()
    assert store.restores
    run.undo("restore")
    assert store.restores == {}
    run.undo("restore")


def test_writes_after_the_moment_do_not_matter(platform: Platform) -> None:
    running, store = scene(platform)
    run = drill(running)
    run.run(until="mark")
    store.break_row("records.public.note")
    run.apply("restore")
    assert run.apply("compare")["equal"] is True


def test_a_moment_marked_twice_has_two_names(platform: Platform) -> None:
    running, store = scene(platform)
    run = drill(running)
    run.run(until="mark")
    running.clock.advance(1.0)
    run.step("mark").apply(run.context("mark"))
    assert len(store.points) == 2


def test_a_restore_that_fails_is_told_with_its_reason(platform: Platform) -> None:
    running, store = scene(platform)
    store.restore_fails = "pgbackrest: [041]: wrong key"
    run = drill(running)
    with pytest.raises(GateFailed, match=r"the restore failed: pgbackrest: \[041\]: wrong key"):
        run.run()


def test_a_restore_that_is_there_is_not_begun_again(platform: Platform) -> None:
    running, store = scene(platform)
    run = drill(running)
    run.run(until="restore")
    assert not run.check("restore").needed
    assert store.restore_state(FACTS.run).phase is RestorePhase.READY
    run.step("restore").apply(run.context("restore"))
    assert len(store.restores) == 1


def test_a_moment_is_restored_without_comparing(platform: Platform) -> None:
    running, store = scene(platform)
    run = drill(running, "2026-11-23T03:30:00+01:00").run()
    assert run.outputs["compare"]["compared"] is False
    assert run.outputs["compare"]["target"] == "2026-11-23T02:30:00+00:00"
    assert run.outputs["compare"]["held"]["records.public.note"].startswith("3 rows ")
    assert store.restores == {}


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("yesterday", "'yesterday' is no moment"),
        ("2026-11-23T02:30:00", "names no time zone"),
        ("2026-11-23T01:59:00Z", "cannot be restored .*between 2026-11-23T02:00:00"),
        ("2026-11-24T00:00:00Z", "cannot be restored"),
    ],
)
def test_a_moment_that_cannot_be_restored_is_refused_first(platform: Platform, at: str, said: str) -> None:
    running, store = scene(platform)
    with pytest.raises(UsageError, match=said):
        drill(running, at).run()
    assert store.points == {}


def test_without_a_backup_there_is_no_drill(platform: Platform) -> None:
    running, store = scene(platform)
    store.kept.clear()
    with pytest.raises(UsageError, match="fr-par has no backup yet"):
        drill(running).run()


def test_where_the_data_may_not_be_it_is_not_restored(platform: Platform) -> None:
    running, store = scene(platform)
    regions = dict(platform.regions)
    regions["fr-gra"] = regions["fr-gra"].model_copy(update={"certifications": ()})
    running.platform = platform.model_copy(update={"regions": regions})
    with pytest.raises(UsageError, match=r"fr-gra .*data must not be restored there"):
        drill(running).run()
    assert store.points == {}
