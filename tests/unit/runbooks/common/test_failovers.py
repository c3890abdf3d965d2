"""What the witness asks of the engine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from runbooks.common.failovers import EngineFailovers
from runbooks.engine.runs import Run, RunState
from vitalops.errors import UsageError
from vitalops.model.loader import load_platform
from vitalops.model.platform import FailoverPair
from vitalops.witness.automation import Filed, Loss

LOSS = Loss("france", "fr-par", "fr-gra", 7, 100.0, 105.1, "loss-france-105")


@dataclass(slots=True)
class FakeOperations:
    """The engine, as far as the witness knows it."""

    kept: list[Run] = field(default_factory=list[Run])
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    resumed: list[str] = field(default_factory=list[str])

    def plan(self, runbook: Any, parameters: Any, progress: Any = None) -> Any:
        raise AssertionError("the witness makes no plan")

    def start(self, runbook: Any, parameters: Any, **options: Any) -> Run:
        self.asked.append({"runbook": runbook.name, "parameters": parameters.model_dump(), **options})
        return run(RunState.RUNNING if options["unattended"] else RunState.WAITING)

    def approve(self, run: str, *, actor: str, reason: str = "") -> Run:
        raise AssertionError("the witness approves nothing")

    def reject(self, run: str, *, actor: str, reason: str, progress: Any = None) -> Run:
        raise AssertionError("the witness rejects nothing")

    def resume(self, run: str, *, actor: str, block: bool = True, progress: Any = None) -> Run:
        self.resumed.append(run)
        return self.run(run)

    def wait(self, run: str, timeout: float | None = None) -> Run:
        raise AssertionError("the witness does not wait")

    def run(self, run: str) -> Run:
        for each in self.kept:
            if each.id == run:
                return each
        raise UsageError(f"there is no run {run!r}")

    def runs(self, *, runbook: str = "", open_only: bool = False, limit: int = 100) -> tuple[Run, ...]:
        return tuple(each for each in self.kept if not (open_only and each.is_over))


def run(state: RunState, *, target: str = "pair/france", requester: str = "witness") -> Run:
    return Run("region-failover-1", "region-failover", {}, (target,), (), (), requester, "", state, 1.0)


@pytest.fixture
def pair(root: Path) -> FailoverPair:
    return load_platform(root / "platform.yaml", date(2026, 11, 1)).pairs["france"]


@pytest.mark.parametrize(("unattended", "waits"), [(True, False), (False, True)])
def test_a_loss_is_filed_as_an_unplanned_failover(pair: FailoverPair, unattended: bool, waits: bool) -> None:
    operations = FakeOperations()
    assert EngineFailovers(operations, pair).file(LOSS, unattended=unattended) == Filed(
        "region-failover-1", waits
    )
    (asked,) = operations.asked
    assert asked["runbook"] == "region-failover"
    assert (asked["parameters"]["to"], asked["parameters"]["planned"]) == ("fr-gra", False)
    assert (asked["requester"], asked["block"], asked["key"]) == ("witness", False, "witness/loss-france-105")
    assert asked["reason"] == "fr-par silent for 5.1 s (loss-france-105)"


def test_a_run_of_this_pair_that_is_not_over_is_found(pair: FailoverPair) -> None:
    operations = FakeOperations([run(RunState.SUCCEEDED), run(RunState.RUNNING, target="pair/switzerland")])
    made = EngineFailovers(operations, pair)
    assert made.open() is None
    operations.kept.append(run(RunState.WAITING))
    assert made.open() == Filed("region-failover-1", waits=True)


def test_how_a_run_ended_is_said_when_it_has(pair: FailoverPair) -> None:
    operations = FakeOperations([run(RunState.RUNNING)])
    made = EngineFailovers(operations, pair)
    assert made.ended("region-failover-1") == ""
    operations.kept = [run(RunState.FAILED_STOPPED)]
    assert made.ended("region-failover-1") == "failed-stopped"
    assert "cannot be found" in made.ended("region-failover-9")


def test_only_its_own_interrupted_run_is_taken_up(pair: FailoverPair) -> None:
    operations = FakeOperations([run(RunState.INTERRUPTED, requester="grace")])
    made = EngineFailovers(operations, pair)
    assert made.take_up() == ""
    operations.kept = [replace(run(RunState.INTERRUPTED), id="region-failover-2")]
    assert made.take_up() == "region-failover-2"
    assert operations.resumed == ["region-failover-2"]
    operations.kept = [run(RunState.RUNNING)]
    assert made.take_up() == ""
