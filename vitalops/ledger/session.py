"""A whole ledger: people, writing, consultations beside it, and the reading afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vitalops.consultation.access import Access
from vitalops.consultation.http import Edge
from vitalops.consultation.people import Person
from vitalops.consultation.walk import StepFailed
from vitalops.conventions import OPERATOR_CLIENT
from vitalops.errors import RemoteError
from vitalops.ledger.book import Book, Contents
from vitalops.ledger.compare import Comparison, compare
from vitalops.ledger.entries import Found, Visit
from vitalops.ledger.people import (
    SYNTHETIC,
    LedgerAuthor,
    hasty_edge,
    introduce,
    keep,
    kept,
    read_back,
    sign_in,
)
from vitalops.ledger.writer import Author, Pace, Writer
from vitalops.prober.probe import Probe, Target

READ_SECONDS: Final = 60.0
"""For the platform to answer, when what was written is read back."""
VISIT_SECONDS: Final = 25.0
"""After this a consultation is given up: a new one may fare better."""
BETWEEN_VISITS: Final = 0.3
APART_SECONDS: Final = 2.0
"""Between the first visits of two visitors."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """One ledger through one pair's edge. `visitors` walk consultations side by side, each one after another."""

    name: str
    access: Access
    people: int = 2
    visitors: int = 2
    pace: Pace = field(default_factory=Pace)

    async def run(
        self,
        book: Book,
        stop: asyncio.Event,
        ready: Callable[[], None] = lambda: None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Writes until `stop`. `ready` is called when the first writes are about to be sent.

        Raises RemoteError where nobody can be introduced.
        """
        with self.access.authority_file() as ca_file:
            edge = hasty_edge(self.access.edge_url, ca_file)
            slow = Edge.over_tls(self.access.edge_url, ca_file, headers=SYNTHETIC)
            try:
                authors: list[LedgerAuthor] = []
                for number in range(self.people):
                    tell(f"consultation {number + 1} of {self.people}")
                    secret = self.access.operator_secret()
                    authors.append(await introduce(self.name, edge, slow, ca_file, secret))
                keep(self.access.secrets, self.access.pair, self.name, [each.patient for each in authors])
                probes = [self._probe(ca_file) for _ in range(self.visitors)]
                for probe in probes:
                    tell("the visitors' first consultation")
                    await probe.once()
                ready()
                await self._all(authors, probes, book, stop)
            finally:
                await edge.aclose()
                await slow.aclose()

    async def _all(
        self, authors: Sequence[Author], probes: Sequence[Probe], book: Book, stop: asyncio.Event
    ) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(Writer(authors, book, self.pace).run(stop))
            for number, probe in enumerate(probes):
                group.create_task(visit_on(probe, book, stop, delay=number * APART_SECONDS))

    def _probe(self, ca_file: Path) -> Probe:
        target = Target(self.access.edge_url, ca_file, self.access.operator_secret(), OPERATOR_CLIENT)
        return Probe(target, walk_seconds=VISIT_SECONDS)


async def visit_on(probe: Probe, book: Book, stop: asyncio.Event, delay: float) -> None:
    """One consultation after another until `stop`; the one that goes on then is given up."""
    halted = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({halted}, timeout=delay)
        while not stop.is_set():
            began = time.time()
            walk = asyncio.create_task(probe.once())
            await asyncio.wait({walk, halted}, return_when=asyncio.FIRST_COMPLETED)
            if not walk.done():
                walk.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await walk
                return
            result = walk.result()
            book.visited(Visit(began, time.time(), result.passed, result.failed_step, result.problem))
            await asyncio.wait({halted}, timeout=BETWEEN_VISITS)
    finally:
        halted.cancel()


async def read_all(access: Access, contents: Contents, seconds: float = READ_SECONDS) -> list[Found]:
    """What the people of a ledger find of it. Raises RemoteError where the platform does not let it be read in time."""
    patients = kept(access.secrets, access.pair, contents.name)
    with access.authority_file() as ca_file:
        edge = Edge.over_tls(access.edge_url, ca_file, headers=SYNTHETIC)
        try:
            return [
                found for patient in patients for found in await _read(contents.name, edge, patient, seconds)
            ]
        finally:
            await edge.aclose()


async def _read(ledger: str, edge: Edge, patient: Person, seconds: float) -> list[Found]:
    deadline = time.monotonic() + seconds
    while True:
        try:
            await sign_in(edge, patient)
            return await read_back(ledger, edge, patient)
        except StepFailed as problem:
            if time.monotonic() > deadline:
                raise RemoteError(f"what was written cannot be read back: {problem}") from None
            await asyncio.sleep(0.5)


async def checked(access: Access, contents: Contents, tolerance: float) -> Comparison:
    """Reads everything back and compares."""
    return compare(contents.entries, await read_all(access, contents), tolerance)
