"""Alerts on backups, on the archive and on volumes fire when they should, to Prometheus' own promtool."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.slo.harness import Story, only
from vitalops.conventions import ALERT_ARCHIVE_LAG, ALERT_BACKUP_STALE, ALERT_DISK_FILLING
from vitalops.model.platform import Platform
from vitalops.slo.protection import archive_limit, stale_after
from vitalops.slo.rules import INFRASTRUCTURE_FILE, compile_rules

HERE = {"region": "fr-par", "pair": "france"}
ENDED = "vitalops_backup_last_ended_timestamp_seconds"
SINCE = "vitalops_backup_watching_since_timestamp_seconds"
BEHIND = "vitalops_archive_behind_seconds"
FREE, ALL = "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"
CLAIM = {"namespace": "vitalops-data", "persistentvolumeclaim": "data"}


def rules(platform: Platform) -> dict[str, str]:
    return only(compile_rules(platform, "fr-par"), [INFRASTRUCTURE_FILE])


def labels(runbook: str, **more: str) -> dict[str, str]:
    return {**HERE, "severity": "ticket", "runbook": runbook, **more}


def test_a_backup_that_is_missed_is_told_of(promtool: str, tmp_path: Path, platform: Platform) -> None:
    story = Story()
    limit = stale_after(platform.backups)
    story.scraped(ENDED, {**HERE, "kind": "full"}, [-float(10 * limit)] * 70)
    story.scraped(ENDED, {**HERE, "kind": "incr"}, [-float(limit)] * 70)
    story.silent(295, ALERT_BACKUP_STALE, labels("backup-now"))
    story.fires(310, ALERT_BACKUP_STALE, labels("backup-now"))
    story.told(promtool, tmp_path, rules(platform))


def test_a_primary_without_any_backup_is_told_of_and_a_fresh_one_is_not(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    for folder in ("without", "fresh"):
        (tmp_path / folder).mkdir()
    without = Story()
    without.scraped(SINCE, HERE, [-1800.0] * 70)
    without.fires(310, ALERT_BACKUP_STALE, labels("backup-now"))
    without.told(promtool, tmp_path / "without", rules(platform))
    fresh = Story()
    fresh.scraped(SINCE, HERE, [-100000.0] * 70)
    fresh.scraped(ENDED, {**HERE, "kind": "full"}, [0.0] * 70)
    fresh.never_fired(345, ALERT_BACKUP_STALE, labels("backup-now"))
    fresh.told(promtool, tmp_path / "fresh", rules(platform))


def test_wal_that_waits_for_long_is_told_of(promtool: str, tmp_path: Path, platform: Platform) -> None:
    story = Story()
    limit = float(archive_limit(platform.backups))
    story.scraped(BEHIND, HERE, [limit] * 12 + [limit + 1] * 30)
    story.silent(115, ALERT_ARCHIVE_LAG, labels("disk-pressure"))
    story.fires(125, ALERT_ARCHIVE_LAG, labels("disk-pressure"))
    story.told(promtool, tmp_path, rules(platform))


def test_a_volume_that_is_nearly_full_is_named(promtool: str, tmp_path: Path, platform: Platform) -> None:
    story = Story()
    story.scraped(ALL, {**HERE, **CLAIM}, [100.0] * 80)
    story.scraped(FREE, {**HERE, **CLAIM}, [11.0] * 12 + [9.0] * 68)
    named = labels("disk-pressure", **CLAIM)
    story.silent(355, ALERT_DISK_FILLING, named)
    story.fires(365, ALERT_DISK_FILLING, named)
    story.told(promtool, tmp_path, rules(platform))


def test_a_volume_that_fills_is_told_of_a_day_ahead_and_a_new_one_is_not(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
    minutes = 7 * 60
    falling = [39.0 - index / 17 for index in range(minutes)]
    named = labels("disk-pressure", **CLAIM)
    old = Story(step=60, scrape=60)
    old.scraped(ALL, {**HERE, **CLAIM}, [100.0] * minutes)
    old.scraped(FREE, {**HERE, **CLAIM}, falling)
    old.silent(21_600, ALERT_DISK_FILLING, named)
    old.fires(21_960, ALERT_DISK_FILLING, named)
    old.told(promtool, tmp_path / "old", rules(platform))
    new = Story(step=60, scrape=60)
    new.scraped(ALL, {**HERE, **CLAIM}, [100.0] * 120)
    new.scraped(FREE, {**HERE, **CLAIM}, falling[:120])
    new.never_fired(7100, ALERT_DISK_FILLING, named)
    new.told(promtool, tmp_path / "new", rules(platform))
