from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client import generate_latest

from vitalops.consultation.walk import Outcome
from vitalops.errors import UsageError
from vitalops.prober.metrics import ProberMetrics
from vitalops.prober.probe import BROKEN, UNFINISHED, ProbeResult

STEPS = ("both sign in", "patient books it")


def result(failed_step: str = "", seconds: float = 4.0) -> ProbeResult:
    outcome = Outcome.FAILED if failed_step else Outcome.PASSED
    started = datetime(2026, 1, 1, tzinfo=UTC)
    return ProbeResult(started, outcome, failed_step, "", seconds, "0" * 32, ())


def exposed(metrics: ProberMetrics) -> dict[str, float]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_every_counter_is_there_before_the_first_walk() -> None:
    seen = exposed(ProberMetrics(STEPS))
    for outcome in ("passed", "failed"):
        assert seen[f'vitalops_prober_walks_total{{outcome="{outcome}",traffic="synthetic"}}'] == 0
    for step in (*STEPS, UNFINISHED, BROKEN):
        assert seen[f'vitalops_prober_step_failures_total{{step="{step}",traffic="synthetic"}}'] == 0


def test_walks_are_counted_by_outcome_and_failures_by_step() -> None:
    metrics = ProberMetrics(STEPS)
    for each in (result(), result(), result("patient books it", seconds=70)):
        metrics.record(each)
    seen = exposed(metrics)
    assert seen['vitalops_prober_walks_total{outcome="passed",traffic="synthetic"}'] == 2
    assert seen['vitalops_prober_walks_total{outcome="failed",traffic="synthetic"}'] == 1
    assert seen['vitalops_prober_step_failures_total{step="patient books it",traffic="synthetic"}'] == 1
    assert seen['vitalops_prober_walk_duration_seconds_bucket{le="5.0",traffic="synthetic"}'] == 2
    assert seen['vitalops_prober_walk_duration_seconds_count{traffic="synthetic"}'] == 3
    ended = datetime(2026, 1, 1, 0, 1, 10, tzinfo=UTC).timestamp()
    assert seen['vitalops_prober_last_walk_timestamp_seconds{traffic="synthetic"}'] == ended


def test_an_address_that_cannot_be_served_at_is_told() -> None:
    # TEST-NET-1 (RFC 5737) is nobody's own address.
    with pytest.raises(UsageError, match="cannot be served"):
        ProberMetrics(STEPS).serve(9188, "192.0.2.1")
