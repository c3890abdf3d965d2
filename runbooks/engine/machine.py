"""What a run does next: a pure function of what has happened in it so far.

A run is a sequence of events. `after` folds one into the state; `State.act` says what is to be done next. Nothing here
acts, waits or looks at a clock, so that the same events always lead to the same state: that is what durable execution
builds on.

Invariants, for any sequence of events:
- a step's `apply` is due only right after its own check said so, with no crash between them;
- what was touched is undone last first, each step once, and only where the runbook undoes;
- nothing is due once the run has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, assert_never

from runbooks.engine.runs import RunState


class Act(StrEnum):
    """What is to be done next. All but BEGIN, FINISH and NOTHING concern the step at `State.index`."""

    BEGIN = "begin"
    """Take the locks and the token, or be refused."""
    CHECK = "check"
    APPLY = "apply"
    VERIFY = "verify"
    UNDO = "undo"
    FINISH = "finish"
    """Give the locks back and close the books."""
    NOTHING = "nothing"


class Happened(StrEnum):
    """The kinds of events."""

    BEGUN = "begun"
    REFUSED = "refused"
    """By a limit, a lock or a check."""
    DUE = "due"
    DONE = "done"
    """A check said that the step's effect is there already."""
    APPLIED = "applied"
    VERIFIED = "verified"
    FAILED = "failed"
    STUCK = "stuck"
    """A function went on after its limit, and cannot be stopped."""
    RESUMED = "resumed"
    GIVEN_UP = "given-up"
    """Somebody rejected a run that had begun."""
    UNDONE = "undone"
    LASTS = "lasts"
    """A step that was touched and has no undo."""
    UNDO_FAILED = "undo-failed"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Event:
    """What one turn came to. `step` is a name, empty where it concerns none; `data` is JSON."""

    what: Happened
    step: str = ""
    detail: str = ""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what.value, "step": self.step, "detail": self.detail, "data": dict(self.data)}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Event:
        return Event(Happened(document["what"]), document["step"], document["detail"], document["data"])


@dataclass(frozen=True, slots=True)
class Shape:
    """What the machine must know of a runbook."""

    steps: tuple[str, ...]
    undoes: bool


@dataclass(frozen=True, slots=True)
class State:
    act: Act = Act.BEGIN
    index: int = 0
    touched: tuple[int, ...] = ()
    """Steps whose apply was due, in the order of the steps."""
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    token: int = 0
    outcome: RunState | None = None
    failed: str = ""
    """Step at which it failed or was refused."""
    detail: str = ""
    lasting: tuple[str, ...] = ()
    """Steps whose effect stays after a failure."""
    budget: Mapping[str, Any] | None = None
    """What was left of the error budgets before anything acted; None where that is not known."""

    def step(self, shape: Shape) -> str:
        """Name of the step that `act` concerns; empty where none."""
        concerned = self.act in (Act.CHECK, Act.APPLY, Act.VERIFY, Act.UNDO)
        return shape.steps[self.index] if concerned else ""


def after(shape: Shape, state: State, event: Event) -> State:
    """The state once `event` has happened."""
    if state.budget is None and event.data.get("budget") is not None:
        state = replace(state, budget=event.data["budget"])
    match event.what:
        case Happened.BEGUN:
            return _at(shape, replace(state, token=int(event.data["token"])), 0)
        case Happened.REFUSED:
            if state.touched:
                return _failed(shape, state, event)
            return _ending(state, RunState.REFUSED, event.detail, event.step)
        case Happened.DUE:
            touched = tuple(sorted({*state.touched, state.index}))
            return replace(_with(state, event), act=Act.APPLY, touched=touched)
        case Happened.DONE:
            found = _with(state, event)
            if state.index in state.touched:
                # This run did it before a crash, and nobody has verified it yet.
                return replace(found, act=Act.VERIFY)
            return _at(shape, found, state.index + 1)
        case Happened.APPLIED:
            given = {**state.outputs.get(event.step, {}), **event.data.get("output", {})}
            return replace(state, act=Act.VERIFY, outputs={**state.outputs, event.step: given})
        case Happened.VERIFIED:
            return _at(shape, state, state.index + 1)
        case Happened.FAILED:
            return _failed(shape, state, event)
        case Happened.STUCK:
            return _ending(state, RunState.FAILED_STOPPED, event.detail, event.step)
        case Happened.RESUMED:
            return _resumed(state, event)
        case Happened.GIVEN_UP:
            if not state.touched and state.outcome is None:
                return _ending(state, RunState.REJECTED, event.detail)
            return _failed(shape, state, event) if state.outcome is None else state
        case Happened.UNDONE | Happened.LASTS:
            lasting = (*state.lasting, event.step) if event.what is Happened.LASTS else state.lasting
            return _undo(replace(state, touched=state.touched[:-1], lasting=lasting))
        case Happened.UNDO_FAILED:
            stays = f"{state.detail}; {event.detail}"
            return _ending(state, RunState.FAILED_STOPPED, stays, state.failed)
        case Happened.FINISHED:
            return replace(state, act=Act.NOTHING)
        case _:
            assert_never(event.what)


def _resumed(state: State, event: Event) -> State:
    if state.act in (Act.APPLY, Act.VERIFY):
        return replace(state, act=Act.CHECK)
    lost = bool(event.data.get("lost"))
    if (
        state.act is Act.CHECK
        and lost
        and state.index - 1 in state.touched
        and state.index not in state.touched
    ):
        # Only of the step just done: later ones may have meant to take an earlier one's effect away.
        return replace(state, index=state.index - 1)
    return state


def _with(state: State, event: Event) -> State:
    """What the first check of a step found counts: a later one may see this run's own work."""
    facts: Mapping[str, Any] = event.data.get("facts", {})
    known = state.outputs.get(event.step, {})
    return replace(state, outputs={**state.outputs, event.step: {**facts, **known}})


def _at(shape: Shape, state: State, index: int) -> State:
    if index < len(shape.steps):
        return replace(state, act=Act.CHECK, index=index)
    return _ending(state, RunState.SUCCEEDED, "")


def _failed(shape: Shape, state: State, event: Event) -> State:
    failed = replace(state, failed=event.step, detail=event.detail)
    if not shape.undoes and state.touched:
        return _ending(failed, RunState.FAILED_STOPPED, event.detail, event.step)
    return _undo(replace(failed, outcome=RunState.FAILED_UNDONE))


def _undo(state: State) -> State:
    if state.touched:
        return replace(state, act=Act.UNDO, index=state.touched[-1])
    return replace(state, act=Act.FINISH)


def _ending(state: State, outcome: RunState, detail: str, step: str = "") -> State:
    return replace(state, act=Act.FINISH, outcome=outcome, detail=detail, failed=step)
