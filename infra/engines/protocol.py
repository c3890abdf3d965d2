"""What every engine can do with a stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from infra.engines.diff import Action, Change
from vitalops.ports.progress import Progress


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack: its name, its program, and the clusters (regions) that the program declares objects in."""

    name: str
    program: Callable[[], None] = field(repr=False)
    clusters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `preview` would change, or `up` and `destroy` changed."""

    stack: str
    changes: tuple[Change, ...]
    seconds: float
    text: str = ""
    """An engine's own account, where it gives one."""

    def count(self, action: Action) -> int:
        return sum(change.action is action for change in self.changes)


class Engine(Protocol):
    """All methods raise VitalopsError (one line, with a hint) and leave what a later `up` repairs."""

    @property
    def name(self) -> str: ...

    def preview(self, stack: Stack) -> Outcome:
        """What `up` would change. Changes nothing."""
        ...

    def up(self, stack: Stack, progress: Progress) -> Outcome:
        """Make it so, wait until all of it is ready, remove what is declared no more."""
        ...

    def destroy(self, stack: Stack, progress: Progress) -> Outcome:
        """Remove everything that the stack has made."""
        ...

    def outputs(self, stack: Stack) -> Mapping[str, Any]:
        """What the program exports."""
        ...
