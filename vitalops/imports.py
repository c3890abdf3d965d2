"""Imports inside functions that several threads reach at once.

Large libraries import themselves in circles. Two threads that enter such a circle from different sides would each find
half of it: Python prefers a half-made module to a deadlock.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

_LOCK: Final = threading.RLock()


@contextmanager
def one_thread_imports() -> Generator[None]:
    """`with one_thread_imports(): import requests`: the block is in one thread at a time."""
    with _LOCK:
        yield
