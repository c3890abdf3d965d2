"""Steps in a row, each with a time limit, and what became of them.

A walk is data: a tuple of steps over one mutable context. The runner knows nothing of consultations;
a verification, a synthetic prober and a load swarm can run the same steps, and differ in what they do with
the results.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from vitalops.errors import VitalopsError

Context = TypeVar("Context")


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"


class StepFailed(Exception):
    """A step saw something it should not have. The message says what was seen, in one line."""


@dataclass(frozen=True, slots=True)
class Step(Generic[Context]):
    """One thing to do. `act` returns one line on what was seen, or raises StepFailed.

    `limit_seconds` is the time after which it is given up.
    """

    name: str
    act: Callable[[Context], Awaitable[str]]
    limit_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class StepResult:
    name: str
    outcome: Outcome
    seconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class WalkResult:
    """`steps` ends with the failed one, if any: nothing after it was tried."""

    steps: tuple[StepResult, ...]
    seconds: float

    @property
    def failure(self) -> StepResult | None:
        return next((step for step in self.steps if step.outcome is Outcome.FAILED), None)


class Watcher:
    """Told of each step as it begins and ends. Does nothing; override what is of interest."""

    def began(self, name: str) -> None:
        del name

    def ended(self, result: StepResult) -> None:
        del result


async def run(steps: Sequence[Step[Context]], context: Context, watcher: Watcher | None = None) -> WalkResult:
    """Runs `steps` in order and stops after the first that fails.

    Only StepFailed, VitalopsError, OSError and running out of time count as failures: anything else is a
    fault of the walk itself and passes through.
    """
    watcher = watcher or Watcher()
    results: list[StepResult] = []
    start = time.perf_counter()
    for step in steps:
        watcher.began(step.name)
        began = time.perf_counter()
        outcome, detail = await _attempt(step, context)
        result = StepResult(step.name, outcome, time.perf_counter() - began, detail)
        results.append(result)
        watcher.ended(result)
        if outcome is Outcome.FAILED:
            break
    return WalkResult(tuple(results), time.perf_counter() - start)


async def _attempt(step: Step[Context], context: Context) -> tuple[Outcome, str]:
    try:
        async with asyncio.timeout(step.limit_seconds):
            return Outcome.PASSED, await step.act(context)
    except TimeoutError:
        return Outcome.FAILED, f"not done within {step.limit_seconds:g} s"
    except StepFailed as problem:
        return Outcome.FAILED, str(problem)
    except (VitalopsError, OSError) as problem:
        return Outcome.FAILED, str(problem)
