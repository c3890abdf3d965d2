"""A small runbook on a world of its own, for tests of the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runbooks.engine.model import Change, Parameters, Risk, Runbook, Step, StepContext, Target, Verdict
from vitalops.errors import GateFailed


class TrialParameters(Parameters):
    region: str = "fr-par"
    """Where."""
    size: int = 1
    """How much."""


@dataclass
class World:
    """What steps change. Every change is counted in `effects`, and every undoing is in `undone`."""

    there: set[str] = field(default_factory=set[str])
    effects: Counter[str] = field(default_factory=Counter[str])
    undone: list[str] = field(default_factory=list[str])
    checked: list[str] = field(default_factory=list[str])
    failing: dict[str, Callable[[], None]] = field(default_factory=dict[str, Callable[[], None]])
    """Called by `verify` of a step, to fail it."""
    midway: Callable[[str], None] = lambda _: None
    """Called in the middle of every apply."""

    def make(self, what: str) -> None:
        """As every apply must be: what is there already is not made again."""
        if what not in self.there:
            self.there.add(what)
            self.effects[what] += 1


def step(world: World, name: str, *, undo: bool = True, limit: float = 5.0) -> Step[TrialParameters]:
    """A step whose effect has two halves."""
    halves = (f"{name}.1", f"{name}.2")

    def check(_: StepContext[TrialParameters]) -> Verdict:
        world.checked.append(name)
        lacking = [half for half in halves if half not in world.there]
        if not lacking:
            return Verdict.done("there", {"found": len(halves)})
        changes = [Change(half, "absent", "present") for half in lacking]
        return Verdict.due(f"{len(lacking)} of 2 are not there", *changes, facts={"before": 2 - len(lacking)})

    def apply(context: StepContext[TrialParameters]) -> dict[str, Any]:
        world.make(halves[0])
        world.midway(name)
        world.make(halves[1])
        return {"made": name, "token": context.facts.token}

    def verify(_: StepContext[TrialParameters]) -> None:
        if name in world.failing:
            world.failing[name]()
        if not world.there.issuperset(halves):
            raise GateFailed(f"{name} is not there")

    def take_back(_: StepContext[TrialParameters]) -> None:
        if not world.there.isdisjoint(halves):
            world.there.difference_update(halves)
            world.undone.append(name)

    return Step(
        name,
        f"make {name}",
        limit,
        check,
        apply,
        verify,
        take_back if undo else None,
        lasting="" if undo else "it cannot be unmade",
    )


def trial(
    world: World,
    names: tuple[str, ...] = ("one", "two", "three"),
    *,
    name: str = "trial",
    risk: Risk = Risk.CHANGES,
    undoes: bool = True,
    unattended: bool = False,
    target: Callable[[TrialParameters], tuple[Target, ...]] | None = None,
    steps: tuple[Step[TrialParameters], ...] | None = None,
    regions: tuple[str, ...] | None = None,
) -> Runbook[TrialParameters]:
    return Runbook(
        name=name,
        summary="everything is there",
        description="When something is not there.",
        risk=risk,
        parameters=TrialParameters,
        example=f"vitalops runbook run {name} --region fr-par",
        targets=lambda p, _: target(p) if target else (Target("region", p.region),),
        steps=steps or tuple(step(world, each) for each in names),
        regions=lambda p, _: (p.region,) if regions is None else regions,
        protects=("answered",),
        unattended=unattended,
        undoes_on_failure=undoes,
    )
