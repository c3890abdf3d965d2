"""The writing client: a few people, each with one note and one prescription on its way at a time.

An attempt without an answer is repeated with the same idempotency key until it has one, as a careful client does: so
what the platform has done twice, or told twice, shows.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vitalops.ledger.book import Book
from vitalops.ledger.entries import Entry, Kind, Outcome

RETRY_SECONDS = 0.1
GIVE_UP_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What an attempt came to. `status` is 0 where there was no answer."""

    status: int
    id: str = ""
    region: str = ""

    @property
    def acknowledged(self) -> bool:
        return 200 <= self.status < 300

    @property
    def final(self) -> bool:
        """Whether repeating it would change nothing: the request itself is wrong. A 401 is cured by a new token, a 409
        or 429 by waiting."""
        return 400 <= self.status < 500 and self.status not in (401, 408, 409, 425, 429)


class Author(Protocol):
    """A practitioner who writes about one patient."""

    @property
    def subject(self) -> str: ...

    async def write(self, kind: Kind, number: int, key: str) -> Reply:
        """One attempt. `key` is its idempotency key. Raises nothing for what a platform can do."""
        ...

    async def renew(self) -> None:
        """See to valid tokens. Raises nothing: what is valid goes on being used."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two writes of one line; lines are an author's notes, and their prescriptions."""

    note: float = 0.25
    prescription: float = 0.5
    most_prescriptions: int = 190
    """Of one patient: a reader is shown no more than 200, and a duplicate beyond them would not be seen."""

    def seconds(self, kind: Kind) -> float:
        return self.note if kind is Kind.NOTE else self.prescription


@dataclass(slots=True)
class Writer:
    authors: Sequence[Author]
    book: Book
    pace: Pace = field(default_factory=Pace)
    now: Callable[[], float] = time.time
    retry_seconds: float = RETRY_SECONDS
    give_up_seconds: float = GIVE_UP_SECONDS
    renew_seconds: float = 60.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, and then what is on its way to its end or its next failure."""
        async with asyncio.TaskGroup() as group:
            for author in self.authors:
                group.create_task(self._line(author, Kind.NOTE, stop))
                group.create_task(self._line(author, Kind.PRESCRIPTION, stop))
                group.create_task(self._renewal(author, stop))

    async def _line(self, author: Author, kind: Kind, stop: asyncio.Event) -> None:
        number = 0
        while not stop.is_set():
            if kind is Kind.PRESCRIPTION and number >= self.pace.most_prescriptions:
                return
            number += 1
            self.book.wrote(await self.written(author, kind, number, stop))
            await _wait(stop, self.pace.seconds(kind))

    async def written(self, author: Author, kind: Kind, number: int, stop: asyncio.Event) -> Entry:
        """One write, attempted until it is acknowledged, refused for good, or given up."""
        key, sent = str(uuid.uuid4()), self.now()
        refused = unanswered = 0
        while True:
            began = self.now()
            reply = await author.write(kind, number, key)
            ended = self.now()
            if reply.acknowledged:
                return Entry(
                    kind,
                    author.subject,
                    number,
                    sent,
                    ended,
                    Outcome.ACKNOWLEDGED,
                    reply.id,
                    reply.region,
                    began,
                    refused,
                    unanswered,
                )
            refused, unanswered = refused + (reply.status > 0), unanswered + (reply.status == 0)
            if reply.final or stop.is_set() or ended - sent > self.give_up_seconds:
                outcome = Outcome.UNKNOWN if unanswered else Outcome.REFUSED
                return Entry(
                    kind,
                    author.subject,
                    number,
                    sent,
                    ended,
                    outcome,
                    refused=refused,
                    unanswered=unanswered,
                )
            if reply.status == 401:
                await author.renew()
            await _wait(stop, self.retry_seconds)

    async def _renewal(self, author: Author, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await _wait(stop, self.renew_seconds)
            await author.renew()


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
