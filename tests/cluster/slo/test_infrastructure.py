"""Every rule file is sound to promtool, and the alerts that no objective stands for do what they say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cluster.slo.harness import Story, only
from vitalops.conventions import (
    ALERT_PEER_UNREACHABLE,
    ALERT_PROBER_SILENT,
    ALERT_REPLICATION_LAG,
    ALERT_TARGET_DOWN,
    ALERT_WATCHDOG,
)
from vitalops.model.platform import Platform
from vitalops.model.telemetry import PlannedWork
from vitalops.slo.export import check_rules, write_rules
from vitalops.slo.rules import INFRASTRUCTURE_FILE, compile_rules

HERE = {"region": "fr-gra", "pair": "france"}
HOSTILE = 'a"b\\c{{ $value }}\u2028\x7fé🩺\ue000'


def infrastructure(platform: Platform, region: str = "fr-gra") -> dict[str, str]:
    return only(compile_rules(platform, region), [INFRASTRUCTURE_FILE])


def labels(severity: str, runbook: str, **more: str) -> dict[str, str]:
    return {**HERE, "severity": severity, "runbook": runbook, **more}


def test_promtool_accepts_the_rules_of_every_region(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    check_rules(promtool, write_rules(platform, platform.regions, tmp_path))


def test_promtool_accepts_whatever_text_a_platform_holds(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    answered = platform.slis["answered"]
    total = answered.total.model_copy(update={"labels": {"proxy": (HOSTILE, "b|c")}})
    sli = answered.model_copy(update={"description": HOSTILE, "total": total})
    start, end = datetime(2026, 12, 1, 22, tzinfo=UTC), datetime(2026, 12, 1, 23, tzinfo=UTC)
    tiers = {
        name: tier.model_copy(update={"window_days": days})
        for (name, tier), days in zip(platform.tiers.items(), (1, 3, 90), strict=True)
    }
    hostile = platform.model_copy(
        update={
            "slis": {**platform.slis, "answered": sli},
            "tiers": tiers,
            "planned_work": (PlannedWork(start=start, end=end, reason=HOSTILE),),
        }
    )
    check_rules(promtool, write_rules(hostile, ("fr-par",), tmp_path))


def test_a_paired_region_that_is_lost_is_told_after_ten_seconds(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    story = Story()
    peer = {"job": "peer", **HERE}
    story.scraped("up", {**peer, "pod": "a"}, [1.0] * 12 + [0.0] * 12 + [1.0] * 12)
    lost = labels("page", "region-failover")
    story.silent(60, ALERT_PEER_UNREACHABLE, lost)
    story.fires(70, ALERT_PEER_UNREACHABLE, lost)
    story.fires(115, ALERT_PEER_UNREACHABLE, lost)
    story.silent(120, ALERT_PEER_UNREACHABLE, lost)
    story.fires(0, ALERT_WATCHDOG, {**HERE, "severity": "none"})
    story.fires(120, ALERT_WATCHDOG, {**HERE, "severity": "none"})
    story.silent(175, ALERT_TARGET_DOWN, {})
    story.told(promtool, tmp_path, infrastructure(platform))


def test_one_lost_scrape_of_a_paired_region_is_no_loss(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    story = Story()
    story.scraped("up", {"job": "peer", **HERE}, ([1.0] * 6 + [0.0]) * 4)
    story.never_fired(130, ALERT_PEER_UNREACHABLE, labels("page", "region-failover"))
    story.told(promtool, tmp_path, infrastructure(platform))


def test_a_target_that_is_not_scraped_is_named(promtool: str, tmp_path: Path, platform: Platform) -> None:
    story = Story()
    target = {"job": "services", "namespace": "vitalops-services", "service": "records", "pod": "records-1"}
    story.scraped("up", {**target, **HERE, "container": "x"}, [1.0] * 12 + [0.0] * 48)
    down = labels("ticket", "service-rollback", **target)
    story.silent(175, ALERT_TARGET_DOWN, down)
    story.fires(180, ALERT_TARGET_DOWN, down)
    story.told(promtool, tmp_path, infrastructure(platform))


def test_a_target_that_is_worked_on_is_left_alone(promtool: str, tmp_path: Path, platform: Platform) -> None:
    story = Story()
    story.scraped("up", {"job": "services", "service": "records", **HERE}, [0.0] * 60)
    story.scraped("slo:planned_work:active", {"service": "records", **HERE}, [1.0] * 60)
    story.never_fired(290, ALERT_TARGET_DOWN, {})
    story.told(promtool, tmp_path, infrastructure(platform))


@pytest.mark.parametrize(
    ("received", "replayed", "replayed_at", "streaming", "fires"),
    [
        (1000, 1000, 0, 1, False),  # nothing was written for long: not behind
        (1000, 900, 0, 1, True),
        (1000, 1000, 0, 0, True),  # does not even receive
    ],
)
def test_a_standby_that_does_not_keep_up(
    promtool: str,
    tmp_path: Path,
    platform: Platform,
    received: float,
    replayed: float,
    replayed_at: float,
    streaming: float,
    fires: bool,
) -> None:
    story = Story()
    member = {"job": "patroni", "pod": "postgres-0", "name": "postgres-0", **HERE}
    for name, value in (
        ("patroni_standby_leader", 1),
        ("patroni_primary", 0),
        ("patroni_xlog_received_location", received),
        ("patroni_xlog_replayed_location", replayed),
        ("patroni_xlog_replayed_timestamp", replayed_at),
        ("patroni_postgres_streaming", streaming),
    ):
        story.scraped(name, member, [float(value)] * 40)
    lagging = labels("ticket", "degrade-to-async")
    story.silent(55, ALERT_REPLICATION_LAG, lagging)
    if fires:
        story.fires(120, ALERT_REPLICATION_LAG, lagging)
    else:
        story.never_fired(190, ALERT_REPLICATION_LAG, lagging)
    story.told(promtool, tmp_path, infrastructure(platform))


def test_a_primary_does_not_lag(promtool: str, tmp_path: Path, platform: Platform) -> None:
    story = Story()
    for name, value in (
        ("patroni_standby_leader", 0),
        ("patroni_primary", 1),
        ("patroni_postgres_streaming", 0),
    ):
        story.scraped(name, {"job": "patroni", **HERE}, [float(value)] * 40)
    story.never_fired(190, ALERT_REPLICATION_LAG, {})
    story.told(promtool, tmp_path, infrastructure(platform))


@pytest.mark.parametrize("active", [True, False])
def test_a_prober_that_no_longer_walks_is_told_in_the_active_region(
    promtool: str, tmp_path: Path, platform: Platform, active: bool
) -> None:
    story = Story()
    ended = [float(min(second, 600) // 60 * 60) for second in range(0, 1500, 5)]
    story.scraped("vitalops_prober_last_walk_timestamp_seconds", {"traffic": "synthetic"}, ended)
    story.scraped("patroni_primary", {"pod": "postgres-0"}, [float(active)] * 300)
    silent = labels("ticket", "service-rollback")
    story.silent(1000, ALERT_PROBER_SILENT, silent)
    if active:
        story.fires(1080, ALERT_PROBER_SILENT, silent)
    else:
        story.never_fired(1490, ALERT_PROBER_SILENT, silent)
    story.told(promtool, tmp_path, infrastructure(platform))
