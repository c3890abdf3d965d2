"""Durable execution as the engine needs it: a port, with its in-memory fake. `durable` is the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

Json: TypeAlias = Mapping[str, Any]
Turn: TypeAlias = Callable[[], Json]
Memo: TypeAlias = Callable[[Turn], Json]
"""Calls a turn and keeps its result, or returns the result that it had before. Calls come in the same order always."""
Body: TypeAlias = Callable[[str, Memo], None]
"""Carries out a run, given its id. Ends by an exception of its own kind only where it is to be taken up again."""


class Durability(Protocol):
    def attach(self, body: Body) -> None:
        """What is to be called for a run. Once, before anything else."""
        ...

    def launch(self) -> None:
        """Be ready now: it is otherwise with the first run, which then waits for it."""
        ...

    def begin(self, run: str) -> None:
        """Have the body called for a new run, in this process, soon; may return before it has been."""
        ...

    def go_on(self, run: str) -> None:
        """The same for one that was begun before, by whichever process, and ended without finishing."""
        ...

    def close(self) -> None: ...


class MemoryDurability:
    """The in-memory fake: it outlives engines, as a database does. Bodies are called in the caller's thread."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Json]] = {}
        self._body: Body | None = None

    def attach(self, body: Body) -> None:
        self._body = body

    def launch(self) -> None:
        return

    def begin(self, run: str) -> None:
        self.kept.setdefault(run, [])
        self.go_on(run)

    def go_on(self, run: str) -> None:
        assert self._body is not None
        kept = self.kept.setdefault(run, [])
        turns = 0

        def memo(turn: Turn) -> Json:
            nonlocal turns
            turns += 1
            if turns > len(kept):
                kept.append(turn())
            return kept[turns - 1]

        # How a body ends badly, whoever waits for it knows already: as with a database, nothing of it comes back here.
        with suppress(BaseException):
            self._body(run, memo)

    def close(self) -> None:
        return
