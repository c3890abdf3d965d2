"""Secret files that are read again when they change: rotation needs no restart."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from services.common.logs import get_logger
from services.common.settings import read_secret

T = TypeVar("T")

log = get_logger("services.reloaded")


class ReloadedFile(Generic[T]):
    """A parsed secret file; the last good version stays while a new one is unusable, which is logged once.

    Made only from a good one: raises SettingsError when the file is missing or empty, and what `parse` raises.
    """

    def __init__(self, path: Path, parse: Callable[[str], T]) -> None:
        self._path = path
        self._parse = parse
        self._lock = threading.Lock()
        # Before reading: what is written in between is read again, not missed.
        self._stamp = _stamp(path)
        self._refused: tuple[int, int, int] | None = None
        self._value = self._read()

    def get(self) -> T:
        """The current value."""
        with self._lock:
            stamp = _stamp(self._path)
            if stamp not in (None, self._stamp):
                try:
                    self._value = self._read()
                    self._stamp = stamp
                except Exception as error:
                    if stamp != self._refused:
                        self._refused = stamp
                        log.warning("secret file not usable", file=self._path.name, exc_info=error)
            return self._value

    def _read(self) -> T:
        return self._parse(read_secret(self._path.parent, self._path.name))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
