"""Locks between processes on this machine (flock: released by the kernel when the holder dies)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from vitalops.errors import UsageError


@contextmanager
def exclusive(path: Path, *, on_wait: Callable[[], None] | None = None) -> Generator[None]:
    """Holds the lock at `path`. Calls `on_wait` once when another process has it, then waits.

    Without `on_wait` a held lock raises UsageError at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait is None:
                raise UsageError(
                    f"another run holds {path}", hint="wait for it to end, then run again"
                ) from None
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
