"""What outlives a process: claims on files, the book, and records that must not hold what they were given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runbooks.engine.book import Book
from runbooks.engine.claims import FileClaims
from runbooks.engine.database import SqliteDatabase
from runbooks.engine.local import database_url
from runbooks.engine.runs import RunState
from runbooks.engine.testing import Kept, engine
from tests.unit.runbooks.engine.trial import TrialParameters, World, step, trial
from vitalops.errors import UsageError, VitalopsError
from vitalops.evidence.files import FileJournal
from vitalops.evidence.record import Entry, MemoryJournal, Record, RecordKind
from vitalops.ports.fakes import FakeRunning


def test_a_claim_is_one_holder_s_until_it_lets_go(tmp_path: Path) -> None:
    here, there = FileClaims(tmp_path / "locks"), FileClaims(tmp_path / "locks")
    assert not here.is_claimed("run-1")
    mine = here.claim("run-1")
    assert mine is not None
    assert there.is_claimed("run-1")
    assert there.claim("run-1") is None
    assert there.claim("run-2") is not None
    mine.release()
    assert not mine.holds()
    assert not there.is_claimed("run-1")
    theirs = there.claim("run-1")
    assert theirs is not None
    theirs.release()
    assert list((tmp_path / "locks").glob("run-1")) == []


def test_the_book_takes_a_transaction_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    book = Book(SqliteDatabase(tmp_path / "book.sqlite"))
    with pytest.raises(KeyError):
        _hold_and_fail(book)
    with Book(SqliteDatabase(tmp_path / "book.sqlite")).page() as page:
        assert page.hold(("pair/france",), "run-2", 1.0) == 1000


def _hold_and_fail(book: Book) -> None:
    with book.page() as page:
        page.hold(("pair/france",), "run-1", 1.0)
        raise KeyError


def test_a_book_that_is_none_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "book.sqlite").write_text("this is no database, and long enough to be looked at " * 40)
    with pytest.raises(
        VitalopsError, match=r"the book of operations cannot be (opened|used): .*book\.sqlite"
    ):
        SqliteDatabase(tmp_path / "book.sqlite")


def test_a_team_s_database_is_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALOPS_OPERATIONS_DATABASE", "mysql://somewhere/operations")
    with pytest.raises(UsageError, match="is no PostgreSQL database") as caught:
        database_url()
    assert "somewhere" not in str(caught.value)


def test_a_reason_that_names_a_patient_is_refused_before_there_is_a_run(
    running: FakeRunning, kept: Kept, world: World
) -> None:
    made = engine(running, kept, runbooks={"trial": trial(world)})
    with pytest.raises(UsageError, match="reason"):
        made.start(trial(world), TrialParameters(), requester="ada", reason="asked for by eve@example.org")
    assert made.runs() == ()
    assert not list(kept.journal.entries())


def test_outputs_that_must_not_be_kept_are_withheld_and_the_run_goes_on(
    running: FakeRunning, tmp_path: Path, world: World
) -> None:
    kept = Kept(journal=FileJournal(tmp_path / "journal.jsonl"))
    telling = replace(step(world, "one"), apply=lambda _: _told(world))
    runbook = trial(world, steps=(telling,))
    run = engine(running, kept, runbooks={"trial": runbook}).start(
        runbook, TrialParameters(), requester="ada"
    )
    assert run.state is RunState.SUCCEEDED
    text = (tmp_path / "journal.jsonl").read_text()
    assert "eve@example.org" not in text
    withheld = [e.record for e in kept.journal.entries() if "withheld" in e.record.data]
    assert [record.data.get("what") for record in withheld] == ["applied", None]
    assert withheld[1].kind is RecordKind.FINISHED


def _told(world: World) -> dict[str, str]:
    world.make("one.1")
    world.make("one.2")
    return {"answered": "eve@example.org"}


class FullDisk(MemoryJournal):
    """Takes a few records, then none."""

    def append(self, record: Record) -> Entry:
        if len(self.kept) >= 3:
            raise VitalopsError("no space left on device")
        return super().append(record)


def test_what_cannot_be_recorded_is_not_done(running: FakeRunning, world: World) -> None:
    kept = Kept(journal=FullDisk())
    made = engine(running, kept, runbooks={"trial": trial(world)})
    run = made.start(trial(world), TrialParameters(), requester="ada")
    assert (run.state, run.detail) == (
        RunState.INTERRUPTED,
        "nothing can be recorded: no space left on device",
    )
    assert world.effects == {"one.1": 1, "one.2": 1}
    kept.journal = MemoryJournal(kept.journal.kept)  # type: ignore[attr-defined]
    again = engine(running, kept, runbooks={"trial": trial(world)}).resume(run.id, actor="grace")
    assert again.state is RunState.SUCCEEDED
    assert set(world.effects.values()) == {1}
