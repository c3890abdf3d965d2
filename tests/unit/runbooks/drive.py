"""Runs a runbook's steps in order on the fakes, as the engine does, without its bookkeeping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runbooks.engine.model import Parameters, Runbook, RunFacts, Step, StepContext, Verdict
from vitalops.ports.fakes import FakeRunning
from vitalops.ports.progress import SilentProgress

FACTS = RunFacts("run-1", "tester", "a test", 1_767_225_600_000, 1_767_225_600.0)


@dataclass
class Drive:
    """`outputs` are those of the steps that were applied; `verdicts` what each check said first."""

    runbook: Runbook[Any]
    parameters: Parameters
    running: FakeRunning
    facts: RunFacts = FACTS
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    verdicts: dict[str, Verdict] = field(default_factory=dict[str, Verdict])

    def context(self, step: str) -> StepContext[Any]:
        limit = self.step(step).limit_seconds
        return StepContext(
            self.parameters, self.running, self.facts, dict(self.outputs), SilentProgress(), limit
        )

    def step(self, name: str) -> Step[Any]:
        return next(step for step in self.runbook.steps if step.name == name)

    def check(self, name: str) -> Verdict:
        return self.step(name).check(self.context(name))

    def apply(self, name: str) -> Mapping[str, Any]:
        """Check, apply where that is due, verify."""
        step = self.step(name)
        self.verdicts[name] = step.check(self.context(name))
        if self.verdicts[name].facts:
            self.outputs[name] = {**self.verdicts[name].facts, **self.outputs.get(name, {})}
        if self.verdicts[name].needed:
            self.outputs[name] = {**self.outputs.get(name, {}), **step.apply(self.context(name))}
            step.verify(self.context(name))
        return self.outputs.get(name, {})

    def run(self, until: str = "") -> Drive:
        """Every step, or those before and including `until`."""
        for step in self.runbook.steps:
            self.apply(step.name)
            if step.name == until:
                break
        return self

    def undo(self, name: str) -> None:
        undo = self.step(name).undo
        assert undo is not None, f"{name} has no undo"
        undo(self.context(name))
