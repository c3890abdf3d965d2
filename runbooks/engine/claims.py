"""Which process carries out a run: at most one, and none any more as soon as that process is gone.

A claim is held by the operating system or by the database's connection, so that `kill -9` ends it at once.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.02


class Claim(Protocol):
    def holds(self) -> bool:
        """Whether it is still this process's: a connection may have been lost."""
        ...

    def release(self) -> None: ...


class Claims(Protocol):
    def claim(self, run: str) -> Claim | None:
        """None where a living process has it, this one included."""
        ...

    def is_claimed(self, run: str) -> bool: ...


class MemoryClaims:
    """The in-memory fake; `forget` is what a crash does."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._lock = threading.Lock()

    def claim(self, run: str) -> Claim | None:
        with self._lock:
            if run in self._held:
                return None
            self._held.add(run)
        return _MemoryClaim(self._held, run)

    def is_claimed(self, run: str) -> bool:
        return run in self._held

    def forget(self) -> None:
        self._held.clear()


class _MemoryClaim:
    def __init__(self, held: set[str], run: str) -> None:
        self._held, self._run = held, run

    def holds(self) -> bool:
        return self._run in self._held

    def release(self) -> None:
        self._held.discard(self._run)


class FileClaims:
    """`flock` on a file for each run: the kernel lets go when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self, run: str) -> Claim | None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return patiently(lambda: self._claim(self._folder / run))

    def _claim(self, path: Path) -> Claim | None:
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return None
            # Released claims are removed: the file that was locked must be the one that is there.
            with suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()}\n".encode())
                    return _FileClaim(descriptor, path)
            os.close(descriptor)

    def is_claimed(self, run: str) -> bool:
        try:
            descriptor = os.open(self._folder / run, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False


class _FileClaim:
    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor, self._path = descriptor, path

    def holds(self) -> bool:
        return self._descriptor >= 0

    def release(self) -> None:
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def patiently(claim: Callable[[], Claim | None]) -> Claim | None:
    """Whoever asks whether a run is claimed has it for a moment: that is no reason to give up."""
    for _ in range(_ATTEMPTS):
        found = claim()
        if found is not None:
            return found
        time.sleep(_PAUSE_SECONDS)
    return None
