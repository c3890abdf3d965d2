"""A ledger on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vitalops.errors import UsageError
from vitalops.ledger.book import FileBook, latest, read
from vitalops.ledger.entries import Entry, Kind, Outcome, Visit

WRITE = Entry(Kind.NOTE, "5b0c", 1, 10.0, 10.5, Outcome.ACKNOWLEDGED, "n1", "fr-par", 10.2, 1, 2)
VISIT = Visit(9.0, 14.0, False, "both join the call", "no answer")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    book = FileBook(tmp_path / "ledgers", "trial-1", "france")
    book.wrote(WRITE)
    book.visited(VISIT)
    found = read(tmp_path / "ledgers", "trial-1")
    assert (found.name, found.pair, found.entries, found.visits) == ("trial-1", "france", (WRITE,), (VISIT,))
    assert book.path.stat().st_mode & 0o777 == 0o600


def test_a_last_line_that_a_killed_writer_left_is_passed_over(tmp_path: Path) -> None:
    book = FileBook(tmp_path, "trial-1", "france")
    book.wrote(WRITE)
    with book.path.open("a") as file:
        file.write('{"write":{"kind":"no')
    assert read(tmp_path, "trial-1").entries == (WRITE,)


def test_damage_in_the_middle_is_said_with_its_line(tmp_path: Path) -> None:
    book = FileBook(tmp_path, "trial-1", "france")
    with book.path.open("a") as file:
        file.write("{broken\n")
    book.wrote(WRITE)
    with pytest.raises(UsageError, match=r"trial-1\.jsonl:2 cannot be read"):
        read(tmp_path, "trial-1")


def test_the_latest_is_the_one_that_was_written_last(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no ledger yet"):
        latest(tmp_path)
    for age, name in enumerate(("b", "a", "c")):
        path = FileBook(tmp_path, name, "france").path
        os.utime(path, (1000 - age, 1000 - age))
    assert latest(tmp_path) == "b"


@pytest.mark.parametrize("name", ["", "../etc/passwd", "A", "a_b", "-a"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        read(tmp_path, name)


def test_a_ledger_is_not_written_over(tmp_path: Path) -> None:
    FileBook(tmp_path, "trial-1", "france")
    with pytest.raises(UsageError, match="already"):
        FileBook(tmp_path, "trial-1", "france")
