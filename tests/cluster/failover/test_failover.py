"""The pair's active region is moved as a user would move it: planned and back, and after a loss, and back by rewind."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from infra.local.regions.faults import power_cut
from infra.operations.running import OperatedPlatform
from tests.cluster.conftest import RunningPlatform
from tests.cluster.failover.conftest import until_replicating
from tests.cluster.failover.partitions import Databases, Writer, found, region_layout, table

pytestmark = pytest.mark.rehearsal

APPROVER = "somebody-else"
LOSS_WRITE_SECONDS = 60.0
"""On two busy cores; the published figure is measured by bench/failover.py on a quiet machine."""


def operate(running: RunningPlatform, runbook: str, *arguments: str) -> dict[str, Any]:
    """A run that disrupts, approved by somebody else. Fails the test where it does not succeed."""
    asked = running.vitalops("--yes", "--output", "json", "runbook", "run", runbook, *arguments, check=False)
    run: dict[str, Any] = json.loads(asked.stdout)
    assert run["state"] == "waiting", asked.stdout + asked.stderr
    done = running.vitalops(
        "--output", "json", "runbook", "approve", run["id"], "--as", APPROVER, seconds=1200
    )
    finished: dict[str, Any] = json.loads(done.stdout)
    assert finished["state"] == "succeeded", done.stdout + done.stderr
    return finished


def rehearsed(running: RunningPlatform, run: dict[str, Any], seconds: float) -> None:
    arguments = ("--seconds", f"{seconds:.1f}", "--operation", run["id"])
    running.vitalops("runbook", "rehearsed", run["runbook"], *arguments)


def writes(run: dict[str, Any]) -> float:
    return float(run["outputs"]["consultation"]["first_write_after"])


def test_a_planned_switchover_loses_nothing_and_an_unplanned_one_neither(
    running_platform: RunningPlatform, operated: OperatedPlatform, databases: Databases
) -> None:
    pair = running_platform.pair
    home, other = pair.primary, pair.standby
    with table(databases, home, "test_failover") as name:
        with Writer(databases, name, (home, other)) as writer:
            writer.until(20)
            switched = operate(running_platform, "region-failover", "--to", other, "--planned")
            writer.until(20, region=other)
        _all_there(databases, other, name, writer)
        rehearsed(running_platform, switched, writes(switched))
        until_replicating(operated, other, home)

        with Writer(databases, name, (other, home), first=1_000_000) as writer:
            writer.until(20)
            back = operate(running_platform, "region-failback", "--pair", pair.name)
            writer.until(20, region=home)
        _all_there(databases, home, name, writer)
        until_replicating(operated, home, other)

        with Writer(databases, name, (home, other), first=2_000_000) as writer:
            writer.until(20)
            lost_at = power_cut(region_layout(running_platform.platform, home))
            failed_over = operate(running_platform, "region-failover", "--to", other)
            writer.until(20, region=other)
            first = min(at for _, at, where in writer.acknowledged if where == other)
        _all_there(databases, other, name, writer)
        assert failed_over["outputs"]["fence"]["proof"] == "synchronous"
        assert first - lost_at < LOSS_WRITE_SECONDS

        began = time.monotonic()
        running_platform.vitalops("--yes", "regions", "start", home)
        returned = operate(running_platform, "region-failback", "--pair", pair.name)
        assert returned["outputs"]["rejoin"].get("how") in ("rewound", "streaming"), "it was copied"
        rehearsed(running_platform, back, writes(back))
        print(
            f"first write {first - lost_at:.1f} s after the loss; back home in {time.monotonic() - began:.0f} s"
        )
        until_replicating(operated, home, other)


def _all_there(databases: Databases, region: str, name: str, writer: Writer) -> None:
    kept = found(databases, region, name)
    missing = {number for number, _, _ in writer.acknowledged} - kept
    assert not missing, f"{len(missing)} acknowledged writes are lost"
