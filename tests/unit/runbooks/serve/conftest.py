"""A receiver in memory: a store, an engine that carries nothing out on real clusters, and a runbook that counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runbooks.engine import testing
from runbooks.engine.database import SqliteDatabase
from runbooks.engine.engine import Engine
from runbooks.engine.model import (
    AlertBinding,
    Output,
    Parameters,
    Risk,
    Runbook,
    Step,
    StepContext,
    Target,
    Verdict,
)
from runbooks.serve.acting import Acting
from runbooks.serve.notice import Notice
from runbooks.serve.recording import Recording
from runbooks.serve.store import IncidentStore
from vitalops import conventions as c
from vitalops import halt
from vitalops.evidence.files import FileJournal
from vitalops.model.platform import Platform
from vitalops.ports.clock import FakeClock
from vitalops.ports.fakes import FakeRunning

SINCE = datetime(2026, 1, 1, 11, 59, tzinfo=UTC)


class Where(Parameters):
    region: str
    """Of the alert."""


def _where(labels: Mapping[str, str], platform: Platform) -> Where | None:
    del platform
    return Where(region=labels[c.METRIC_REGION]) if labels.get("meant") != "no" else None


@dataclass(slots=True)
class Effects:
    """What the runbook did."""

    done: list[str] = field(default_factory=list[str])

    def apply(self, context: StepContext[Where]) -> Output:
        self.done.append(context.facts.run)
        return {"done": len(self.done)}


def counting(effects: Effects, *, risk: Risk = Risk.CHANGES, starts: bool = True) -> Runbook[Where]:
    return Runbook(
        name="count-it",
        summary="Something is counted.",
        description="",
        risk=risk,
        parameters=Where,
        example="",
        targets=lambda parameters, platform: (Target("region", parameters.region),),
        steps=(
            Step("count", "Counts.", 10.0, lambda context: Verdict.due("it is to be counted"), effects.apply),
        ),
        regions=lambda parameters, platform: (parameters.region,),
        answers=(AlertBinding("Counted", _where, starts=starts),),
    )


@dataclass
class Receiver:
    """Everything but HTTP, on memory and a folder."""

    platform: Platform
    folder: Path
    runbook: Runbook[Where]
    effects: Effects
    clock: FakeClock = field(default_factory=lambda: FakeClock(datetime(2026, 1, 1, 12, tzinfo=UTC)))
    kept: testing.Kept = field(default_factory=testing.Kept)

    def __post_init__(self) -> None:
        self.store = IncidentStore(SqliteDatabase(":memory:"))
        self.journal = FileJournal(self.folder / "journal.jsonl", clock=self.clock)
        self.kept.journal = self.journal
        self.begin()

    def begin(self) -> None:
        """The process, again."""
        self.engine: Engine = testing.engine(
            FakeRunning(self.platform, clock=self.clock),
            self.kept,
            runbooks={self.runbook.name: self.runbook},
        )
        self.acting = Acting(
            self.store,
            self.engine,
            (self.runbook,),
            self.platform,
            lambda: halt.read(self.halt_file),
            self.clock,
        )
        self.recording = Recording(self.store, self.journal)

    @property
    def halt_file(self) -> Path:
        return self.folder / "halt.json"

    def take(self, *notices: Notice, pair: str = "france") -> int:
        return self.store.take([(pair, notice) for notice in notices], self.clock.now().timestamp())

    def settle(self) -> None:
        """Act until nothing is left that may be acted on, and nothing that is in the way of it."""
        while True:
            while self.acting.act():
                pass
            for run in self.engine.runs(open_only=True):
                self.engine.wait(run.id)
            if not any("waits:" in each.detail for each in self.store.latest(1000)):
                break
            self.clock.advance(60)
        while self.recording.record():
            pass


def notice(number: int = 1, *, ended: datetime | None = None, **labels: str) -> Notice:
    known = {"alertname": "Counted", c.METRIC_REGION: "fr-par", c.METRIC_SEVERITY: "page", **labels}
    return Notice(f"{number:016x}", SINCE, ended, known, "something is to be counted")


@pytest.fixture
def effects() -> Effects:
    return Effects()


@pytest.fixture
def receiver(platform: Platform, tmp_path: Path, effects: Effects) -> Receiver:
    return Receiver(platform, tmp_path, counting(effects), effects)
