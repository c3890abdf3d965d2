"""The terminal that a dashboard is shown on: taken over, painted line by line, and given back as it was."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from cli.watch.keys import keys_of
from vitalops.errors import UsageError

if TYPE_CHECKING:
    from rich.text import Text

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[2J"
"""The alternate screen, so that what was on the terminal is there again afterwards; no cursor."""
_LEAVE: Final = "\x1b[0m\x1b[?25h\x1b[?1049l"
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


class Terminal:
    """Use it by `with terminal() as screen`."""

    def __init__(self) -> None:
        from rich.console import Console

        self._in, self._out = sys.stdin.fileno(), sys.stdout.fileno()
        self._console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
        self._shown: list[str] = []
        self._size = (0, 0)
        self._before: list[Any] = []
        self._wake_out, self._wake_in = os.pipe()
        self._suspend = False
        self.ended_by: signal.Signals | None = None
        """The signal that asked for the end."""

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        found = os.get_terminal_size(self._out)
        return max(found.columns, 20), max(found.lines, 4)

    def enter(self) -> None:
        self._before = termios.tcgetattr(self._in)
        tty.setcbreak(self._in)
        self._shown = []
        self._write(_ENTER)

    def leave(self) -> None:
        """Give the terminal back; does nothing the second time."""
        if self._before:
            with suppress(OSError, termios.error):
                self._write(_LEAVE)
            with suppress(OSError, termios.error):
                termios.tcsetattr(self._in, termios.TCSADRAIN, self._before)
            self._before = []

    def show(self, lines: Sequence[Text]) -> int:
        """Paint what differs from what is shown; returns how many lines that were."""
        if self.size != self._size:
            self._size, self._shown = self.size, []
        made = [self._ansi(line) for line in lines]
        changed = [
            f"\x1b[{row};1H{text}\x1b[0m\x1b[K"
            for row, text in enumerate(made, 1)
            if row > len(self._shown) or text != self._shown[row - 1]
        ]
        clear = "" if self._shown else "\x1b[2J"
        self._shown = made
        if changed:
            self._write(clear + "".join(changed))
        return len(changed)

    def keys(self, seconds: float) -> list[str]:
        """Keys that were typed; waits no longer than `seconds`, nor longer than until a signal comes."""
        ready, _, _ = select.select([self._in, self._wake_out], [], [], seconds)
        if self._wake_out in ready:
            os.read(self._wake_out, 64)
        if self._suspend:
            self._stop_until_continued()
        if self._in not in ready:
            return []
        typed = os.read(self._in, 64)
        if not typed:
            self.ended_by = self.ended_by or signal.SIGHUP
        return keys_of(typed)

    def wake(self, number: int, _: FrameType | None) -> None:
        """Handler of signals: nothing is done here but to note and to wake whoever waits for keys."""
        if number in _ENDING or number == signal.SIGINT:
            self.ended_by = signal.Signals(number)
        if number == signal.SIGTSTP:
            self._suspend = True
        os.write(self._wake_in, b"!")

    def close(self) -> None:
        os.close(self._wake_in)
        os.close(self._wake_out)

    def _stop_until_continued(self) -> None:
        self._suspend = False
        self.leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.enter()

    def _ansi(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", soft_wrap=True)
        return captured.get()

    def _write(self, text: str) -> None:
        left = text.encode()
        while left:
            left = left[os.write(self._out, left) :]


@contextmanager
def terminal() -> Generator[Terminal]:
    """The terminal, taken over while the block runs and given back however it ends: an error or a signal too.

    Raises UsageError where there is none.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        raise UsageError("this needs a terminal", hint="for one look, in a pipe too: vitalops watch --once")
    screen = Terminal()
    handled = (*_ENDING, signal.SIGINT, signal.SIGTSTP, signal.SIGWINCH)
    before = {number: signal.signal(number, screen.wake) for number in handled}
    try:
        screen.enter()
        yield screen
    finally:
        screen.leave()
        for number, handler in before.items():
            signal.signal(number, handler)
        screen.close()
