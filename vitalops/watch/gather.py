"""Asks in the background, each region and kind of question in a thread of its own.

What hangs or fails keeps nobody waiting: its last answer stays, with the reason why there is no newer one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from vitalops.errors import VitalopsError
from vitalops.ports.clock import Clock
from vitalops.watch.snapshot import Held

T = TypeVar("T")

PATIENCE: Final = timedelta(seconds=10)
"""A question that has no answer for so long is said to have none, though it may still be waited for."""


class Poll(Generic[T]):
    """One question, asked every so many seconds. `ask` may raise and may block: both are shown, and nothing waits."""

    def __init__(self, name: str, ask: Callable[[], T], every: float, clock: Clock) -> None:
        self.name = name
        self._ask = ask
        self._every = every
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Held[T] = Held()
        self._asked: datetime | None = None
        """When the question was asked that has no answer yet."""

    def held(self) -> Held[T]:
        """What is known now."""
        with self._lock:
            held, asked = self._held, self._asked
        if asked is None or self._clock.now() - asked < PATIENCE or held.problem:
            return held
        seconds = PATIENCE.total_seconds()
        return Held(held.value, held.at, f"no answer within {seconds:.0f} s", asked)

    def once(self) -> None:
        """Ask, and keep what comes of it."""
        began = self._clock.now()
        with self._lock:
            self._asked = began
        try:
            value = self._ask()
        except VitalopsError as error:
            self._failed(began, str(error))
        except Exception as error:
            # A fault of one question must end neither its thread nor the screen.
            self._failed(began, f"{type(error).__name__}: {error}")
        else:
            with self._lock:
                self._held, self._asked = Held(value, self._clock.now()), None

    def run(self, stop: threading.Event) -> None:
        """Ask until `stop` is set."""
        while not stop.is_set():
            self.once()
            stop.wait(self._every)

    def _failed(self, began: datetime, problem: str) -> None:
        with self._lock:
            before = self._held
            self._held = Held(before.value, before.at, problem, before.since or began)
            self._asked = None


class Gatherer:
    """`with Gatherer(polls): ...` keeps them asked; nothing waits for them at the end."""

    def __init__(self, polls: Iterable[Poll[object]]) -> None:
        self._polls = tuple(polls)
        self._stop = threading.Event()

    def __enter__(self) -> Gatherer:
        for poll in self._polls:
            threading.Thread(target=poll.run, args=(self._stop,), name=poll.name, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def once(self, patience: timedelta) -> None:
        """Ask each question once, all at the same time; return when all are answered, or after `patience`."""
        threads = [threading.Thread(target=poll.once, name=poll.name, daemon=True) for poll in self._polls]
        for thread in threads:
            thread.start()
        end = time.monotonic() + patience.total_seconds()
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0.0))
