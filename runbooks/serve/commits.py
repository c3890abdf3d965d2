"""Many messages, few commits: whoever waits for the disk waits together.

A message is acknowledged when the commit that holds it is on disk, and not before. What does not fit into the queue,
or is not on disk in time, is refused: Alertmanager keeps it and comes again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from runbooks.serve.notice import Notice
from runbooks.serve.store import IncidentStore
from vitalops.errors import RemoteError, VitalopsError
from vitalops.ports.clock import Clock

MOST_WAITING: Final = 20_000
"""Notices that may wait for a commit."""
MOST_AT_ONCE: Final = 2_000
"""Notices of one commit."""


@dataclass(slots=True)
class _Message:
    pair: str
    notices: Sequence[Notice]
    stored: Future[int] = field(default_factory=Future[int])


class GroupCommits:
    """Use it as a context manager: its thread runs within."""

    def __init__(self, store: IncidentStore, clock: Clock, on_new: Callable[[], None] = lambda: None) -> None:
        """`on_new` is called after a commit that holds new incidents."""
        self._store, self._clock, self._on_new = store, clock, on_new
        self._news = threading.Condition()
        self._waiting: deque[_Message] = deque()
        self._count = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="commits", daemon=True)

    def __enter__(self) -> GroupCommits:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._stopped = True
            self._news.notify()
        self._thread.join()

    def submit(self, pair: str, notices: Sequence[Notice]) -> Future[int]:
        """Done when the notices are on disk, with the number of new incidents in its commit; failed where they cannot
        be. Raises RemoteError at once where too many wait already."""
        message = _Message(pair, notices)
        with self._news:
            if self._stopped or self._count + len(notices) > MOST_WAITING:
                raise RemoteError("too many alerts wait to be stored", hint="come again in a few seconds")
            self._waiting.append(message)
            self._count += len(notices)
            self._news.notify()
        return message.stored

    def _run(self) -> None:
        while batch := self._next():
            try:
                new = self._store.take(
                    ((message.pair, notice) for message in batch for notice in message.notices),
                    self._clock.now().timestamp(),
                )
            except VitalopsError as error:
                self._settle(batch, error)
            except Exception as error:
                # Whatever it is: those who wait are told that nothing was stored, and the next batch is tried.
                self._settle(batch, RemoteError(f"alerts cannot be stored: {type(error).__name__}: {error}"))
            else:
                for message in batch:
                    message.stored.set_result(new)
                if new:
                    self._on_new()

    def _settle(self, batch: Sequence[_Message], error: VitalopsError) -> None:
        for message in batch:
            message.stored.set_exception(error)

    def _next(self) -> list[_Message]:
        """What waits, up to one commit's worth; nothing when it is over and nothing waits any more."""
        with self._news:
            while True:
                while not self._waiting and not self._stopped:
                    self._news.wait()
                batch = self._taken()
                if batch or (not self._waiting and self._stopped):
                    return batch

    def _taken(self) -> list[_Message]:
        batch, count = list[_Message](), 0
        while self._waiting and (not batch or count + len(self._waiting[0].notices) <= MOST_AT_ONCE):
            message = self._waiting.popleft()
            count += len(message.notices)
            # Whoever gave up waiting was told that nothing is stored.
            if message.stored.set_running_or_notify_cancel():
                batch.append(message)
        self._count -= count
        return batch
