"""The journal as a file: several writers, crashes, and damage that is not covered up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitalops.errors import UsageError, VitalopsError
from vitalops.evidence.chain import FaultKind
from vitalops.evidence.files import FileJournal
from vitalops.evidence.record import Record, RecordKind
from vitalops.ports.clock import FakeClock
from vitalops.secretstore import InMemorySecretStore


def note(name: str, **data: object) -> Record:
    return Record(RecordKind.NOTE, "operation-1", name, "anne", "pair/france", "because", data)


@pytest.fixture
def journal(tmp_path: Path) -> FileJournal:
    return FileJournal(tmp_path / "operations" / "journal.jsonl", clock=FakeClock())


def faults(journal: FileJournal) -> list[FaultKind]:
    return [fault.kind for fault in journal.verify()[1]]


def names(journal: FileJournal) -> list[str]:
    return [entry.record.name for entry in journal.entries()]


def test_what_was_appended_is_read_back(journal: FileJournal) -> None:
    first = journal.append(note("one", targets=("a", "b"), seconds=0.25))
    second = journal.append(note("two"))
    assert list(journal.entries()) == [first, second]
    assert first.record.data == {"targets": ["a", "b"], "seconds": 0.25}
    assert second.previous == first.digest
    assert journal.verify() == (2, [])
    assert str(journal.head()) == f"2:{second.digest}"


def test_nobody_else_can_read_it(journal: FileJournal) -> None:
    journal.append(note("one"))
    assert journal.path.stat().st_mode & 0o077 == 0
    assert journal.head_path.stat().st_mode & 0o077 == 0
    assert journal.path.parent.stat().st_mode & 0o077 == 0


def test_an_absent_journal_is_empty_and_whole(journal: FileJournal) -> None:
    assert list(journal.entries()) == []
    assert journal.verify() == (0, [])
    assert journal.head() is None


def test_several_at_once_are_one_append(journal: FileJournal) -> None:
    entries = journal.extend([note(str(number)) for number in range(50)])
    assert [entry.number for entry in entries] == list(range(1, 51))
    assert journal.extend([]) == []
    assert journal.verify() == (50, [])


def test_threads_append_without_losing_one(journal: FileJournal) -> None:
    threads = [
        threading.Thread(target=lambda: [journal.append(note("x")) for _ in range(20)]) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.verify() == (100, [])


def test_processes_append_without_losing_one(journal: FileJournal) -> None:
    script = (
        "import sys; from pathlib import Path; from vitalops.evidence.files import FileJournal\n"
        "from vitalops.evidence.record import Record, RecordKind\n"
        "j = FileJournal(Path(sys.argv[1]))\n"
        "for i in range(40): j.append(Record(RecordKind.NOTE, 'o', str(i), sys.argv[2]))"
    )
    command = [sys.executable, "-c", script, str(journal.path)]
    running = [subprocess.Popen([*command, actor]) for actor in ("a", "b")]
    assert [process.wait() for process in running] == [0, 0]
    assert journal.verify() == (80, [])
    assert {entry.record.actor for entry in journal.entries()} == {"a", "b"}


@settings(max_examples=60)
@given(cut=st.integers(1, 400), batch=st.integers(1, 4))
def test_an_append_that_was_cut_off_anywhere_is_mended_and_told(
    tmp_path_factory: pytest.TempPathFactory, cut: int, batch: int
) -> None:
    journal = FileJournal(tmp_path_factory.mktemp("cut") / "journal.jsonl", clock=FakeClock())
    journal.append(note("acknowledged"))
    kept, head = journal.size(), journal.head_path.read_bytes()
    journal.extend([note("lost") for _ in range(batch)])
    # As a crash leaves it: the head is only written once the lines are on disk.
    journal.head_path.write_bytes(head)
    size = max(journal.size() - cut, kept + 1)
    os.truncate(journal.path, size)
    torn = not journal.path.read_bytes().endswith(b"\n")
    assert (FaultKind.TORN in faults(journal)) == torn
    journal.append(note("after"))
    assert faults(journal) == []
    said = names(journal)
    assert (said[0], said[-1]) == ("acknowledged", "after")
    assert said.count("journal") == int(torn)


def test_the_end_cannot_be_taken_away_unnoticed(journal: FileJournal) -> None:
    for number in range(5):
        journal.append(note(str(number)))
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join(lines[:3]))
    assert faults(journal) == [FaultKind.MISSING]
    # Nor can it by appending to it afterwards, and operations go on.
    journal.append(note("later"))
    assert faults(journal) == [FaultKind.MISSING]
    assert "journal" in names(journal)
    journal.append(note("later still"))
    assert faults(journal) == [FaultKind.MISSING]


def test_a_journal_that_was_removed_is_missed(journal: FileJournal) -> None:
    for number in range(3):
        journal.append(note(str(number)))
    journal.path.unlink()
    assert faults(journal) == [FaultKind.MISSING]
    assert journal.append(note("later")).number == 5
    assert faults(journal) == [FaultKind.MISSING]


def test_a_damaged_last_line_stays_as_evidence(journal: FileJournal) -> None:
    for number in range(3):
        journal.append(note(str(number)))
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-10])  # was acknowledged: no crash does that
    journal.append(note("later"))
    assert faults(journal) == [FaultKind.CHANGED]
    assert journal.path.read_bytes().startswith(whole[:-10])


def test_a_head_that_is_gone_or_unreadable_is_a_finding_until_the_next_append(journal: FileJournal) -> None:
    journal.append(note("one"))
    journal.head_path.write_text("nonsense")
    assert faults(journal) == [FaultKind.HEAD]
    journal.head_path.unlink()
    assert faults(journal) == [FaultKind.HEAD]
    journal.append(note("two"))
    assert faults(journal) == []


def test_without_a_readable_end_and_head_nothing_is_appended(journal: FileJournal) -> None:
    journal.append(note("one"))
    journal.head_path.unlink()
    journal.path.write_bytes(b"nonsense\n")
    with pytest.raises(VitalopsError, match="its end cannot be read"):
        journal.append(note("two"))
    assert journal.path.read_bytes() == b"nonsense\n"


def test_what_must_not_be_kept_is_refused_and_not_written(journal: FileJournal, tmp_path: Path) -> None:
    store = InMemorySecretStore()
    store.replace("database/records-password", "correct-horse-battery")
    screened = FileJournal(journal.path, secrets=store)
    with pytest.raises(UsageError, match=r"data seems to hold a secret") as refused:
        screened.extend([note("fine"), note("x", detail="it is correct-horse-battery")])
    assert "horse" not in str(refused.value)
    with pytest.raises(UsageError, match="e-mail"):
        screened.append(note("x", to="jeanne.martin@example.org"))
    assert journal.size() == 0


def test_data_that_is_not_json_is_refused(journal: FileJournal) -> None:
    for value in (object(), float("nan"), {1, 2}):
        with pytest.raises(UsageError, match="not JSON"):
            journal.append(note("x", value=value))
    with pytest.raises(UsageError, match="too many"):
        journal.append(note("x", value=["word"] * 200_000))
    journal.append(note("y"))
    assert journal.verify() == (1, [])


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VitalopsError, match="cannot be written"):
        FileJournal(tmp_path / "file" / "journal.jsonl").append(note("x"))


def test_a_clock_set_back_is_a_finding(tmp_path: Path) -> None:
    clock = FakeClock()
    journal = FileJournal(tmp_path / "journal.jsonl", clock=clock)
    journal.append(note("x"))
    clock.current -= timedelta(minutes=1)
    journal.append(note("x"))
    assert faults(journal) == [FaultKind.CLOCK]


def test_entries_that_cannot_be_read_are_told_with_their_line(journal: FileJournal) -> None:
    journal.append(note("x"))
    with journal.path.open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(VitalopsError, match="line 2"):
        list(journal.entries())


@settings(max_examples=40)
@given(sizes=st.lists(st.integers(0, 60_000), max_size=6), count=st.integers(0, 8), torn=st.booleans())
def test_the_latest_entries_are_read_from_the_end(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], count: int, torn: bool
) -> None:
    journal = FileJournal(tmp_path_factory.mktemp("latest") / "journal.jsonl", clock=FakeClock())
    for size in sizes:
        journal.append(note("x", filler=" " * size))
    everything = list(journal.entries())
    if torn:
        with journal.path.open("ab") as file:
            file.write(b'{"torn')
    assert journal.latest(count) == everything[::-1][:count]
