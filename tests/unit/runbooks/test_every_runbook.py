"""What must hold of every runbook that is registered."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runbooks import registry
from runbooks.engine.boundaries import Boundary, Died, Moment
from runbooks.engine.model import Risk, Runbook
from runbooks.engine.pages import differing, pages
from runbooks.engine.parameters import parameters_of
from runbooks.engine.runs import Run, RunState
from runbooks.engine.testing import Kept, engine
from tests.unit.runbooks.drive import Drive
from tests.unit.runbooks.scenarios import LOOKING, SCENARIOS
from tests.unit.runbooks.watched import Watched, told
from vitalops.model.platform import Platform

TAKEN = {"dry_run", "reason", "actor", "as", "wait", "platform", "output", "yes", "help"}
"""Options that every runbook's command has."""


class Trial:
    """A runbook on its scenario, whose runner dies at moments that a test chooses."""

    def __init__(self, drive: Drive, dies: Callable[[str], bool]) -> None:
        self.drive = drive
        self.dies = dies
        self.kept = Kept()
        self.acting = False
        self.effects: list[str] = []
        self.seen: list[str] = []
        self.running: Any = Watched(self.drive.running, self.effect)

    def effect(self, what: str) -> None:
        if not self.acting:
            return
        if not what.startswith("before "):
            self.effects.append(what)
        self.come_to(what)

    def hook(self, boundary: Boundary) -> None:
        if boundary.moment in (Moment.BEFORE_APPLY, Moment.AFTER_APPLY):
            named = (self.drive.runbook.name, boundary.step)
            looks = self.drive.step(boundary.step).reads_only or named in LOOKING
            self.acting = boundary.moment is Moment.BEFORE_APPLY and not looks
        self.come_to(str(boundary))

    def come_to(self, moment: str) -> None:
        self.seen.append(moment)
        if self.dies(f"{len(self.seen) - 1} {moment}"):
            self.acting = False
            raise Died

    def live(self) -> Run:
        runbook, parameters = self.drive.runbook, self.drive.parameters
        for _ in range(5):
            made = engine(self.running, self.kept, runbooks={runbook.name: runbook}, hook=self.hook)
            try:
                found = made.runs(open_only=True)
                if found and found[0].state is not RunState.WAITING:
                    return made.resume(found[0].id, actor="grace")
                return made.start(
                    runbook, parameters, requester="ada", approved_by="grace", reason="a trial", key="once"
                )
            except Died:
                continue
        raise AssertionError("it dies for ever")


def never(_: str) -> bool:
    return False


def at(wanted: str) -> Callable[[str], bool]:
    return lambda moment: moment == wanted


@pytest.fixture(params=registry.names())
def runbook(request: pytest.FixtureRequest) -> Runbook[Any]:
    return registry.runbook(request.param)


def test_a_death_at_any_moment_repeats_nothing(
    platform: Platform, runbook: Runbook[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runbook.name in SCENARIOS, f"{runbook.name} has no scenario: add one to scenarios.py"

    def fresh() -> Drive:
        return SCENARIOS[runbook.name](platform, monkeypatch)

    undisturbed = Trial(fresh(), never)
    run = undisturbed.live()
    assert run.state is RunState.SUCCEEDED, run.detail
    # Those between which something happens, or is kept: test_boundaries dies at all of them, on a trial.
    acting = (Moment.AFTER_CHECK, Moment.AFTER_APPLY, Moment.AFTER_TURN)
    decisive = (*tuple(f"{moment}:" for moment in acting), Moment.BEFORE_FINISH)
    for number, moment in enumerate(undisturbed.seen):
        between_steps = moment.startswith(decisive)
        if not between_steps and ":" in moment.split(" ")[0]:
            continue
        trial = Trial(fresh(), at(f"{number} {moment}"))
        again = trial.live()
        where = f"{runbook.name} died at {moment}"
        assert again.state is RunState.SUCCEEDED, f"{where}: {again.detail}"
        if between_steps:
            assert told(trial.effects) == told(undisturbed.effects), where


def test_its_module_says_what_a_person_needs(runbook: Runbook[Any], root: Path) -> None:
    assert runbook.summary
    assert "\n" not in runbook.summary
    assert len(runbook.description) > 80
    assert runbook.example.startswith(f"vitalops runbook run {runbook.name}")
    assert runbook.rehearsal
    assert (root / runbook.rehearsal).exists(), f"{runbook.rehearsal} does not exist"
    names = [step.name for step in runbook.steps]
    assert len(names) == len(set(names))
    for step in runbook.steps:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", step.name)
        assert 0 < step.limit_seconds <= 4 * 3600 + 600
        if runbook.risk is not Risk.READS and runbook.undoes_on_failure and not step.reads_only:
            assert step.undo or step.lasting, f"{step.name} says neither how it is undone nor why not"


def test_its_parameters_can_be_typed(runbook: Runbook[Any]) -> None:
    for parameter in parameters_of(runbook.parameters):
        assert parameter.name not in TAKEN
        assert parameter.help, f"{parameter.name} says nothing"


def test_the_pages_are_what_the_modules_say(root: Path) -> None:
    wanted = pages(registry.runbooks())
    assert not differing(root / "docs" / "runbooks", wanted), "vitalops runbook docs --out docs/runbooks"
