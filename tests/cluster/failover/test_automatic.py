"""A region is lost and nobody has a hand in it; and regions that are not lost stay where they are.

Runs on the running platform with a writing client, as `python -m bench.failover` and `bench.disturbances` do at length.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from bench.disturbances import disturbances, failovers_of
from bench.failover import lead_back, restart
from bench.trials import Trial, until
from infra.local.regions.faults import clear, power_cut
from tests.cluster.conftest import RunningPlatform

pytestmark = pytest.mark.rehearsal

RECOVERED_SECONDS = 60.0
"""On any machine; the figures of a quiet one are the bench's."""
DISTURBED_SECONDS = 2.0


@pytest.fixture
def trial(running_platform: RunningPlatform) -> Iterator[Trial]:
    made = Trial.of(running_platform.pair.name)
    clear()
    yield made
    clear()


def test_short_disturbances_are_no_loss(trial: Trial) -> None:
    before = failovers_of(trial)
    with trial.watched("automatic"), trial.written(visitors=0) as ledger:
        active = trial.active
        for kind in disturbances(trial, active)[::2]:
            with kind.fault():
                time.sleep(DISTURBED_SECONDS)
            until(lambda: trial.witness()["state"] == "healthy" or None, 60, f"well again after: {kind.name}")
            assert trial.active == active, kind.name
    assert failovers_of(trial) == before
    comparison = ledger.check()["comparison"]
    assert comparison["lost"] == comparison["duplicated"] == []
    assert comparison["acknowledged"] > 20


def test_a_lost_region_is_failed_over_without_a_hand_on_it(trial: Trial) -> None:
    with trial.watched("automatic"):
        active = trial.active
        other = trial.other(active)
        try:
            with trial.written() as ledger:
                lost_at = power_cut(trial.region(active))
                wrote = ledger.until(
                    lambda _: ledger.first_write_after(lost_at, other),
                    RECOVERED_SECONDS,
                    "a write after the loss",
                )
                met = ledger.until(
                    lambda _: ledger.first_visit_after(lost_at),
                    2 * RECOVERED_SECONDS,
                    "a consultation after it",
                )
            restart(trial, active)
            trial.until_quiet()
            report = trial.report(ledger.name, loss_at=lost_at)
            assert (report["source"], report["target"], report["outcome"]) == (active, other, "succeeded")
            assert (report["lost"], report["duplicated"], report["out_of_order"]) == (0, 0, 0)
            names = [each["name"] for each in report["milestones"]]
            assert names[:5] == ["detection", "decision", "fence", "promotion", "traffic"]
            assert report["milestones"][0]["seconds"] >= trial.pair.failover.detection_seconds
            print(
                f"first write {wrote - lost_at:.1f} s, first consultation {met - lost_at:.1f} s after the loss"
            )
        finally:
            lead_back(trial)
        assert trial.active == trial.pair.primary
