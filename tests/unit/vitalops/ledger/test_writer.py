"""Writes that are repeated until they are answered, and what is kept of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from vitalops.ledger.book import MemoryBook
from vitalops.ledger.entries import Kind, Outcome
from vitalops.ledger.writer import Pace, Reply, Writer

OK = Reply(201, "n1", "fr-gra")


@dataclass(slots=True)
class FakeAuthor:
    """Answers from a list, then acknowledges everything."""

    replies: list[Reply] = field(default_factory=list[Reply])
    keys: list[str] = field(default_factory=list[str])
    renewals: int = 0
    subject: str = "5b0c"

    async def write(self, kind: Kind, number: int, key: str) -> Reply:
        self.keys.append(key)
        await asyncio.sleep(0)
        return self.replies.pop(0) if self.replies else Reply(201, f"{kind}-{number}")

    async def renew(self) -> None:
        self.renewals += 1


def ticking() -> Iterator[float]:
    at = 100.0
    while True:
        yield at
        at += 1.0


def written(author: FakeAuthor, *, stopped: bool = False, give_up: float = 120.0):
    async def once():
        stop = asyncio.Event()
        if stopped:
            stop.set()
        times = ticking()
        writer = Writer(
            [author], MemoryBook(), now=lambda: next(times), retry_seconds=0, give_up_seconds=give_up
        )
        return await writer.written(author, Kind.NOTE, 7, stop)

    return asyncio.run(once())


def test_an_acknowledged_write_keeps_its_id_and_region() -> None:
    entry = written(FakeAuthor([OK]))
    assert (entry.outcome, entry.id, entry.region, entry.number) == (Outcome.ACKNOWLEDGED, "n1", "fr-gra", 7)
    assert (entry.sent, entry.acknowledged_try, entry.ended) == (100.0, 101.0, 102.0)


def test_attempts_are_repeated_with_the_same_key_and_counted() -> None:
    author = FakeAuthor([Reply(0), Reply(503), Reply(0), OK])
    entry = written(author)
    assert entry.outcome is Outcome.ACKNOWLEDGED
    assert (entry.unanswered, entry.refused) == (2, 1)
    assert len(set(author.keys)) == 1


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        ([Reply(503), Reply(0)], Outcome.UNKNOWN),
        ([Reply(0), Reply(503)], Outcome.UNKNOWN),
        ([Reply(503)], Outcome.REFUSED),
    ],
)
def test_what_is_given_up_is_unknown_if_any_attempt_had_no_answer(
    replies: list[Reply], outcome: Outcome
) -> None:
    assert written(FakeAuthor([*replies, *[replies[-1]] * 9]), give_up=4.0).outcome is outcome


def test_a_request_that_is_wrong_is_not_repeated() -> None:
    author = FakeAuthor([Reply(422), OK])
    assert written(author).outcome is Outcome.REFUSED
    assert len(author.keys) == 1


def test_a_token_that_has_run_out_is_renewed() -> None:
    author = FakeAuthor([Reply(401), OK])
    assert written(author).outcome is Outcome.ACKNOWLEDGED
    assert author.renewals == 1


def test_when_it_is_over_nothing_is_repeated() -> None:
    assert written(FakeAuthor([Reply(0)]), stopped=True).outcome is Outcome.UNKNOWN


def test_lines_write_side_by_side_numbered_from_one() -> None:
    book, authors = MemoryBook(), [FakeAuthor(subject="a"), FakeAuthor(subject="b")]

    async def for_a_while() -> None:
        stop = asyncio.Event()
        pace = Pace(note=0.001, prescription=0.001, most_prescriptions=3)
        asyncio.get_running_loop().call_later(0.08, stop.set)
        await Writer(authors, book, pace).run(stop)

    asyncio.run(for_a_while())
    for subject in ("a", "b"):
        numbers = [each.number for each in book.entries if (each.kind, each.subject) == (Kind.NOTE, subject)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 3
        prescriptions = [e for e in book.entries if (e.kind, e.subject) == (Kind.PRESCRIPTION, subject)]
        assert len(prescriptions) == 3
