"""The moments between which a process may die: a hook there lets a test kill it at each of them.

What must hold is that a run taken up again after a death at any moment finishes or is undone, and that no effect is
repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Moment(StrEnum):
    """In the order in which a run comes to them. Around every turn: BEFORE_TURN, those of its act, AFTER_TURN."""

    BEFORE_FILING = "before-filing"
    AFTER_FILING = "after-filing"
    BEFORE_CARRYING_OUT = "before-carrying-out"
    BEFORE_TURN = "before-turn"
    BEFORE_JOURNAL = "before-journal"
    AFTER_JOURNAL = "after-journal"
    BEFORE_CHECK = "before-check"
    AFTER_CHECK = "after-check"
    BEFORE_APPLY = "before-apply"
    AFTER_APPLY = "after-apply"
    BEFORE_VERIFY = "before-verify"
    AFTER_VERIFY = "after-verify"
    BEFORE_UNDO = "before-undo"
    AFTER_UNDO = "after-undo"
    BEFORE_FINISH = "before-finish"
    AFTER_FINISH = "after-finish"
    AFTER_TURN = "after-turn"
    """The turn's result is kept."""
    BEFORE_DECISION = "before-decision"
    AFTER_DECISION = "after-decision"


@dataclass(frozen=True, slots=True)
class Boundary:
    """`step` is empty where the moment concerns none."""

    moment: Moment
    step: str = ""

    def __str__(self) -> str:
        return f"{self.moment}:{self.step}" if self.step else self.moment.value


Hook: TypeAlias = Callable[[Boundary], None]


def nowhere(_: Boundary) -> None:
    """The hook of everyday use."""


class Died(BaseException):
    """For hooks that let a run die without its process: nothing catches it on the way out, as nothing catches -9."""
