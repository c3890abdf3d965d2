"""The kill switch."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitalops import halt
from vitalops.errors import ExitCode, UsageError, VitalopsError
from vitalops.evidence.files import FileJournal
from vitalops.evidence.record import Entry, MemoryJournal, Record, RecordKind
from vitalops.paths import Paths
from vitalops.ports.clock import FakeClock

CLOCK = FakeClock()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "cache", tmp_path / "state", tmp_path / "run")


@pytest.fixture
def file(paths: Paths) -> Path:
    return halt.halt_file(paths, "reference")


class BrokenJournal(MemoryJournal):
    def append(self, record: Record) -> Entry:
        raise VitalopsError("the disk is full")


def test_halted_by_whom_and_why_until_it_is_lifted(paths: Paths, file: Path) -> None:
    journal = MemoryJournal()
    halt.require_not_halted(paths, "reference")
    begun, unrecorded = halt.begin(file, journal, CLOCK, "anne", " something\n is odd ")
    assert (begun.actor, begun.reason, unrecorded) == ("anne", "something is odd", "")
    assert halt.halted(paths, "reference") == begun
    assert halt.halted(paths, "another") is None
    with pytest.raises(
        UsageError, match=r"halted since 2026-01-01 00:00:00 UTC, by anne: something is odd"
    ) as told:
        halt.require_not_halted(paths, "reference")
    assert told.value.exit_code == ExitCode.USAGE
    assert "\n" not in str(told.value)
    assert halt.lift(file, journal, "noel", "it is not") == begun
    assert halt.halted(paths, "reference") is None
    assert journal.kinds() == [RecordKind.HALTED, RecordKind.HALT_LIFTED]
    assert journal.kept[-1].record.data["halted_by"] == "anne"


def test_the_first_of_two_halts_stays(file: Path) -> None:
    journal = MemoryJournal()
    first, _ = halt.begin(file, journal, CLOCK, "anne", "one")
    again, _ = halt.begin(file, journal, CLOCK, "noel", "two")
    assert again == first
    assert journal.kinds() == [RecordKind.HALTED]


def test_both_need_a_reason(file: Path) -> None:
    journal = MemoryJournal()
    with pytest.raises(UsageError, match="needs a reason"):
        halt.begin(file, journal, CLOCK, "anne", "  ")
    assert halt.read(file) is None
    halt.begin(file, journal, CLOCK, "anne", "one")
    with pytest.raises(UsageError, match="needs a reason"):
        halt.lift(file, journal, "anne", "")
    assert halt.read(file) is not None


def test_nothing_to_lift(file: Path) -> None:
    assert halt.lift(file, MemoryJournal(), "anne", "why not") is None


def test_it_halts_without_a_journal_and_does_not_lift_without_one(file: Path) -> None:
    begun, unrecorded = halt.begin(file, BrokenJournal(), CLOCK, "anne", "one")
    assert (begun.reason, unrecorded) == ("one", "the disk is full")
    with pytest.raises(VitalopsError, match="disk is full"):
        halt.lift(file, BrokenJournal(), "anne", "over")
    assert halt.read(file) == begun


def test_what_the_journal_must_not_hold_does_not_keep_it_from_halting(file: Path, tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "journal.jsonl")
    begun, unrecorded = halt.begin(file, journal, CLOCK, "anne", "x@example.org called")
    assert unrecorded == ""
    assert "example.org" not in begun.reason
    assert "example.org" not in journal.path.read_text() + file.read_text()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"actor":"a","at":"x","reason":"r"}', "null"])
def test_a_file_that_cannot_be_read_halts(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(text)
    found = halt.read(file)
    assert found is not None
    assert "by somebody: no reason can be read" in str(found)
    assert halt.lift(file, MemoryJournal(), "anne", "it was broken") == found
    assert halt.read(file) is None


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(VitalopsError, match="cannot halt"):
        halt.begin(tmp_path / "state" / "halt.json", MemoryJournal(), CLOCK, "anne", "one")
