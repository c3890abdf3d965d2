"""What a run would do, shown before anything acts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from runbooks.engine.model import Change, Risk


class Due(StrEnum):
    """What a step's check said."""

    DUE = "due"
    DONE = "done"
    """Its effect is there already."""
    LATER = "later"
    """Cannot be known before an earlier step has acted."""
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """What it had to look at was not reached."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    name: str
    summary: str
    due: Due
    detail: str
    changes: tuple[Change, ...] = ()
    limit_seconds: float = 0.0
    undo: str = ""
    """`undone on failure`, or why its effect lasts."""


@dataclass(frozen=True, slots=True)
class Plan:
    runbook: str
    summary: str
    risk: Risk
    targets: tuple[str, ...]
    regions: tuple[str, ...]
    parameters: dict[str, object]
    steps: tuple[PlannedStep, ...]
    refused: str = ""
    """Why it would be refused now; empty where it may start."""
    needs_approval: bool = False

    @property
    def acts(self) -> bool:
        """Whether anything is to be done, or may be."""
        return any(step.due in (Due.DUE, Due.LATER) for step in self.steps)
