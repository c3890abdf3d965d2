"""A run of a runbook as everybody sees it: the command line, the runbook server, the witness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class RunState(StrEnum):
    """Where a run stands. Those in `ENDED` never change again."""

    WAITING = "waiting"
    """For approval by somebody other than its requester."""
    READY = "ready"
    """May act and has not begun: its process died before, or nobody has carried it out yet."""
    RUNNING = "running"
    """A living process carries it out. Shown as `interrupted` where that process is gone."""
    INTERRUPTED = "interrupted"
    """Begun, and carried out by nobody: `resume` goes on, `reject` undoes. It keeps its locks."""
    SUCCEEDED = "succeeded"
    FAILED_UNDONE = "failed-undone"
    """A step failed; everything that was done and can be undone is undone."""
    FAILED_STOPPED = "failed-stopped"
    """A step failed and what was done stays: the runbook does not undo, or an undo failed."""
    REFUSED = "refused"
    """A check or a limit said no before anything was changed."""
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Nobody approved in time."""


ENDED = frozenset(
    {
        RunState.SUCCEEDED,
        RunState.FAILED_UNDONE,
        RunState.FAILED_STOPPED,
        RunState.REFUSED,
        RunState.REJECTED,
        RunState.EXPIRED,
    }
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run. Times are seconds since the epoch, 0 where that has not happened."""

    id: str
    """Such as `backup-now-k3v9qd`; the journal's records of the run have it as their operation."""
    runbook: str
    parameters: Mapping[str, Any]
    targets: tuple[str, ...]
    regions: tuple[str, ...]
    steps: tuple[str, ...]
    """Names of the runbook's steps when the run was asked for."""
    requester: str
    reason: str
    state: RunState
    created: float
    started: float = 0.0
    ended: float = 0.0
    approval_until: float = 0.0
    """Until when it may be approved."""
    decided_by: str = ""
    """Who approved or rejected it."""
    token: int = 0
    """Fencing token; 0 before it began."""
    step: str = ""
    """Step that it is at, or at which it ended."""
    detail: str = ""
    """One line: why it is where it is."""
    key: str = ""
    """What made it unique: asking again with the same key gives this run."""
    alert: bool = False
    """Whether an alert asked for it."""
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """What the steps gave, by step."""

    @property
    def ended_well(self) -> bool:
        return self.state is RunState.SUCCEEDED

    @property
    def is_over(self) -> bool:
        return self.state in ENDED
