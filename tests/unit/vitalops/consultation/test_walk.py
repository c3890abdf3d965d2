from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from vitalops.consultation.walk import Outcome, Step, StepFailed, StepResult, Watcher, run
from vitalops.errors import RemoteError


@dataclass
class Trail:
    visited: list[str] = field(default_factory=list[str])


def visit(name: str) -> Step[Trail]:
    async def act(trail: Trail) -> str:
        trail.visited.append(name)
        return f"saw {name}"

    return Step(name, act)


async def refuse(trail: Trail) -> str:
    raise StepFailed("the door was locked")


async def hang(trail: Trail) -> str:
    await asyncio.sleep(60)
    return "never"


async def no_network(trail: Trail) -> str:
    raise RemoteError("edge unreachable", hint="run vitalops up")


async def blunder(trail: Trail) -> str:
    raise KeyError("a bug of the walk")


def test_steps_run_in_order_and_tell_what_they_saw() -> None:
    trail = Trail()
    result = asyncio.run(run((visit("a"), visit("b")), trail))
    assert trail.visited == ["a", "b"]
    assert result.failure is None
    assert [(step.name, step.detail) for step in result.steps] == [("a", "saw a"), ("b", "saw b")]
    assert result.seconds >= sum(step.seconds for step in result.steps)


@pytest.mark.parametrize(
    ("step", "seen"),
    [
        (Step("door", refuse), "the door was locked"),
        (Step("door", hang, limit_seconds=0.01), "not done within 0.01 s"),
        (Step("door", no_network), "edge unreachable (run vitalops up)"),
    ],
)
def test_a_failed_step_is_named_and_ends_the_walk(step: Step[Trail], seen: str) -> None:
    trail = Trail()
    result = asyncio.run(run((visit("a"), step, visit("b")), trail))
    assert trail.visited == ["a"]
    assert result.failure is not None
    assert (result.failure.name, result.failure.detail) == ("door", seen)
    assert result.failure.outcome is Outcome.FAILED


def test_a_bug_of_the_walk_is_not_reported_as_a_finding() -> None:
    with pytest.raises(KeyError):
        asyncio.run(run((Step("bug", blunder),), Trail()))


def test_a_watcher_hears_of_each_step_as_it_happens() -> None:
    heard: list[str] = []

    class Listener(Watcher):
        def began(self, name: str) -> None:
            heard.append(f"began {name}")

        def ended(self, result: StepResult) -> None:
            heard.append(f"{result.outcome} {result.name}")

    asyncio.run(run((visit("a"), Step("door", refuse)), Trail(), Listener()))
    assert heard == ["began a", "passed a", "began door", "failed door"]
