"""Budgets and the dashboard of the platform as it runs: everything that is promised is measured."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from cli.sources import through_region
from tests.cluster.conftest import RunningPlatform
from vitalops import conventions as c
from vitalops.slo.objectives import objectives_of

SECONDS = 300
"""A Prometheus that has just begun has its first recorded minute after two."""


def eventually(running: RunningPlatform, *arguments: str, until: Any) -> Any:
    """What the command prints, once `until` holds of it."""
    end = time.monotonic() + SECONDS
    while True:
        done = running.vitalops(*arguments, "--output", "json", check=False)
        found = json.loads(done.stdout) if done.stdout else {}
        if found and until(found):
            return found
        if time.monotonic() > end:
            pytest.fail(f"vitalops {' '.join(arguments)} exited {done.returncode}: {found or done.stderr}")
        time.sleep(5)


def test_every_objective_of_the_pair_is_measured_in_both_regions(running_platform: RunningPlatform) -> None:
    found = eventually(
        running_platform, "slo", "status", until=lambda report: report["verdict"] in ("ok", "exhausted")
    )
    promised = {slo.id for slo in objectives_of(running_platform.platform, running_platform.pair)}
    assert {each["slo"] for each in found["slos"]} == promised
    for each in found["slos"]:
        assert each["missing"] == {}, each
        assert each["state"] in ("ok", "burning", "exhausted", "no-traffic"), each
        if each["state"] == "no-traffic":
            assert each["attained"] is None
        else:
            assert 0 <= each["attained"] <= 1


def test_the_budget_that_is_shown_is_the_one_that_alerts_go_by(running_platform: RunningPlatform) -> None:
    """Summed by the command over parts of the window; by the rule for budgets, asked here for now, over all of it."""
    region = running_platform.pair.primary
    metrics = through_region(running_platform.platform, region, 30)()
    summed = "sum by (slo, traffic) (sum_over_time({}1m[30d]))"
    rule = (
        f"1 - {summed.format(c.RECORD_BAD)} / ({summed.format(c.RECORD_EVENTS)} > 0)"
        f" / on (slo, traffic) group_left () (1 - max by (slo, traffic) ({c.RECORD_OBJECTIVE}))"
    )
    shown: dict[str, float] = {}
    recorded: dict[str, float] = {}
    for _ in range(12):
        recorded = {sample.labels[c.METRIC_SLO]: sample.value for sample in metrics.instant(rule)}
        done = running_platform.vitalops("slo", "status", "--region", region, "--output", "json", check=False)
        shown = {
            each["slo"]: each["budget_left"]
            for each in json.loads(done.stdout)["slos"]
            if each["budget_left"] is not None
        }
        if shown and shown == pytest.approx(recorded, rel=1e-6):
            return
        # The minute of some service ended between the two questions.
        time.sleep(3)
    assert shown == pytest.approx(recorded, rel=1e-6)


def test_one_look_at_everything(running_platform: RunningPlatform) -> None:
    def complete(found: dict[str, Any]) -> bool:
        held = [region[kind] for region in found["regions"] for kind in ("state", "vitals", "alerts")]
        return all(each["value"] is not None and not each["problem"] for each in held)

    found = eventually(running_platform, "watch", "--once", until=complete)
    primary, standby = found["regions"]
    assert primary["active"]
    assert not standby["active"]
    assert primary["state"]["value"]["role"] == "primary"
    assert standby["state"]["value"]["role"] == "standby"
    assert standby["vitals"]["value"]["streaming"] is True
    for region in found["regions"]:
        assert region["vitals"]["value"]["age"] < 15
        names = {alert["labels"]["alertname"] for alert in region["alerts"]["value"]}
        assert "Watchdog" in names
