"""How work in progress tells what it is doing, without knowing who listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Progress(Protocol):
    """Steps may run side by side; a step is known by its name."""

    def step(self, name: str, detail: str = "") -> None:
        """`name` has started, or goes on and is now doing `detail`."""
        ...

    def done(self, name: str, seconds: float) -> None:
        """`name` has finished after `seconds`."""
        ...


class SilentProgress:
    """For callers that do not care."""

    def step(self, name: str, detail: str = "") -> None:
        return

    def done(self, name: str, seconds: float) -> None:
        return


@dataclass(slots=True)
class RecordedProgress:
    """The in-memory fake: keeps what it was told, in order."""

    steps: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    finished: list[str] = field(default_factory=list[str])

    def step(self, name: str, detail: str = "") -> None:
        self.steps.append((name, detail))

    def done(self, name: str, seconds: float) -> None:
        self.finished.append(name)
