"""Calling a step's function for no longer than its limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")
_LOOK_SECONDS = 0.2


class OutOfTime(Exception):
    """The function has not returned. Its thread goes on: Python has no means to end it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"took longer than its limit of {seconds:g} s")


class Abandoned(BaseException):
    """The process was asked to stop while the function ran: what comes of it is as after a crash."""


class _Call(Generic[T]):
    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self.ended = threading.Event()
        self.value: T | None = None
        self.error: BaseException | None = None

    def __call__(self) -> None:
        try:
            self.value = self._function()
        except BaseException as error:
            self.error = error
        finally:
            self.ended.set()


def limited(function: Callable[[], T], seconds: float, stop: threading.Event, name: str = "") -> T:
    """What `function` returns or raises, called in a thread of its own.

    Raises OutOfTime after `seconds`, Abandoned when `stop` is set; the function may then still be at work.
    """
    call = _Call(function)
    threading.Thread(target=call, name=f"step {name}", daemon=True).start()
    until = monotonic() + seconds
    while not call.ended.wait(min(_LOOK_SECONDS, max(until - monotonic(), 0.0))):
        if stop.is_set():
            raise Abandoned
        if monotonic() >= until:
            raise OutOfTime(seconds)
    if call.error is not None:
        raise call.error
    return call.value  # type: ignore[return-value]  # the function has returned it
