"""Progress on stderr: live lines on a terminal, one plain line for each step otherwise."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

PLAIN_UPDATE_SECONDS = 10.0
"""On a pipe, a step that only changes its detail is repeated no more often than this."""


class ConsoleProgress:
    """Implements vitalops.ports.progress.Progress; safe to call from several threads.

    Use it through `progress(...)`, as a context manager.
    """

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._title = title
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()
        self._printed: dict[str, float] = {}
        self._rich: RichProgress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._began = time.monotonic()

    def __enter__(self) -> ConsoleProgress:
        if self._stream.isatty():
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._rich = Progress(
                SpinnerColumn(finished_text="[green]✓[/]"),
                TextColumn("{task.description}", markup=False),
                TextColumn("[dim]{task.fields[detail]}[/]"),
                TimeElapsedColumn(),
                console=Console(file=self._stream),
            )
            self._rich.start()
        if self._title:
            self.step(self._title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._title and error is None:
            self.done(self._title, time.monotonic() - self._began)
        if self._rich is not None:
            self._rich.stop()

    def update(self, detail: str) -> None:
        """Say what the titled work is doing now."""
        self.step(self._title, detail)

    def step(self, name: str, detail: str = "") -> None:
        with self._lock:
            if self._rich is None:
                self._step_plainly(name, detail)
            elif name in self._tasks:
                self._rich.update(self._tasks[name], detail=_escaped(detail))
            else:
                self._tasks[name] = self._rich.add_task(name, total=1, detail=_escaped(detail))

    def done(self, name: str, seconds: float) -> None:
        with self._lock:
            if self._rich is None:
                self._line(f"{name}: done in {seconds:.1f} s")
            elif name in self._tasks:
                self._rich.update(self._tasks[name], completed=1, detail="")

    def _step_plainly(self, name: str, detail: str) -> None:
        now = time.monotonic()
        last = self._printed.get(name)
        if last is None or (detail and now - last >= PLAIN_UPDATE_SECONDS):
            self._printed[name] = now
            self._line(f"{name}: {detail}" if detail else f"{name} ...")

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def _escaped(detail: str) -> str:
    from rich.markup import escape

    return escape(detail)


def progress(title: str = "") -> ConsoleProgress:
    """`with progress("Starting regions") as p:` — `p.update(...)`, or hand `p` to code that takes a Progress.

    Without a title only the steps that are reported appear.
    """
    return ConsoleProgress(title)
