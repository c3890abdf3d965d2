"""Work beside the requests: a thread that takes a step, sleeps, and stops when told."""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.common.logs import get_logger

log = get_logger("services.background")


class Worker:
    """Calls `step` every `interval` seconds, or at once when woken; a failing step is logged and retried.

    `step` returns True when there is more to do right away.
    """

    def __init__(self, name: str, step: Callable[[], bool], *, interval: float) -> None:
        self.name = name
        self._step = step
        self._interval = interval
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Take the next step now."""
        self._wake.set()

    def stop(self, timeout: float = 10.0) -> None:
        """Let the step under way finish, then end; waits up to `timeout` seconds."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            pause = self._interval
            try:
                self._wake.clear()
                if self._step():
                    pause = 0.0
                failures = 0
            except Exception as error:
                failures += 1
                pause = min(30.0, self._interval * 2**failures)
                log.warning("step failed", worker=self.name, failures=failures, exc_info=error)
            if pause:
                self._wake.wait(pause)
