"""`vitalops evidence` and `vitalops halt` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.commands import evidence
from cli.main import run
from cli.operations import actor, journal
from vitalops.errors import ExitCode
from vitalops.evidence.files import FileJournal
from vitalops.evidence.record import Record, RecordKind

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def book(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileJournal:
    monkeypatch.chdir(root)
    monkeypatch.delenv("VITALOPS_PLATFORM", raising=False)
    monkeypatch.setenv("VITALOPS_STATE", str(tmp_path))
    monkeypatch.setenv("VITALOPS_ACTOR", "anne")
    return journal("vitalops")


def record(kind: RecordKind = RecordKind.STEP, operation: str = "backup-now-1", **data: object) -> Record:
    return Record(kind, operation, "backup-now", "anne", "region/fr-par", "as planned", data)


def test_show_prints_a_line_an_entry(book: FileJournal, capsys: Capture) -> None:
    book.append(record(RecordKind.STARTED, token=7))
    assert run(["evidence", "show"]) == ExitCode.PASS
    (line,) = capsys.readouterr().out.splitlines()
    assert "started backup-now-1: backup-now region/fr-par by anne; as planned; token=7" in line


def test_a_step_is_told_by_what_it_did(book: FileJournal, capsys: Capture) -> None:
    due = {
        "step": "make",
        "what": "due",
        "turn": 4,
        "detail": "a full one",
        "changes": [["label", "A", "B"]],
        "facts": {},
    }
    applied = {"step": "make", "what": "applied", "turn": 5, "seconds": 1.5, "output": {"label": "B"}}
    book.extend([record(**due), record(**applied)])
    assert run(["evidence", "show"]) == ExitCode.PASS
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("step backup-now-1: make due: a full one; label: A -> B")
    assert second.endswith("step backup-now-1: make applied in 1.50 s: label=B")


def test_show_filters_and_speaks_json(book: FileJournal, capsys: Capture) -> None:
    book.extend([record(), record(RecordKind.APPROVED), record(operation="other-1")])
    for arguments, count in (
        (["--operation", "backup-now-1"], 2),
        (["--kind", "approved"], 1),
        (["--kind", "approved", "--kind", "step"], 3),
        (["--since", "1h"], 3),
        (["--since", "2020-01-01T00:00:00Z"], 3),
        (["--since", "2999-01-01T00:00:00"], 0),
    ):
        assert run(["evidence", "show", "--output", "json", *arguments]) == ExitCode.PASS
        assert len(json.loads(capsys.readouterr().out)) == count


def test_what_is_odd_in_a_reason_does_not_reach_the_terminal(book: FileJournal, capsys: Capture) -> None:
    book.append(Record(RecordKind.NOTE, "x", "x", "anne", reason="a\x1b[31mb\nc", data={"k": "\x1b]0;x\x07"}))
    assert run(["evidence", "show"]) == ExitCode.PASS
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\x1b[31m" not in out
    assert "\x07" not in out


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01T00:00:00Z", "-1h"])
def test_times_that_are_none(book: FileJournal, since: str, capsys: Capture) -> None:
    del book
    assert run(["evidence", "show", f"--since={since}"]) == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_verify_passes_and_tells_each_fault(book: FileJournal, capsys: Capture) -> None:
    assert run(["evidence", "verify"]) == ExitCode.PASS
    book.extend([record(), record(), record()])
    assert run(["evidence", "verify"]) == ExitCode.PASS
    assert "3 entries, each as it was written" in capsys.readouterr().out
    lines = book.path.read_bytes().splitlines(keepends=True)
    book.path.write_bytes(lines[0] + lines[1].replace(b"anne", b"noel"))
    assert run(["evidence", "verify"]) == ExitCode.FINDING
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("entry 2 (line 2): changed")
    assert second.startswith("entry 3: missing")
    assert run(["evidence", "verify", "--output", "json"]) == ExitCode.FINDING
    found = json.loads(capsys.readouterr().out)
    assert [fault["kind"] for fault in found["faults"]] == ["changed", "missing"]


def test_an_anchor_kept_elsewhere_tells_of_a_journal_written_anew(book: FileJournal, capsys: Capture) -> None:
    book.append(record())
    assert run(["evidence", "show", "--head"]) == ExitCode.PASS
    anchor = capsys.readouterr().out.strip()
    assert run(["evidence", "verify", "--anchor", anchor]) == ExitCode.PASS
    book.path.unlink()
    book.head_path.unlink()
    book.append(record(other=True))
    assert run(["evidence", "verify"]) == ExitCode.PASS
    assert run(["evidence", "verify", "--anchor", anchor]) == ExitCode.FINDING
    assert run(["evidence", "verify", "--anchor", "1:x"]) == ExitCode.USAGE


def test_a_large_journal_tells_how_far_it_is(
    book: FileJournal, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.append(record())
    monkeypatch.setattr(evidence, "_BIG_BYTES", 0)
    assert run(["evidence", "verify"]) == ExitCode.PASS
    assert "verifying" in capsys.readouterr().err


def test_following_goes_on_with_what_comes(
    book: FileJournal, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.append(record())

    def sleep(_: float) -> None:
        if len(book.latest(9)) == 2:
            raise KeyboardInterrupt
        book.append(record(operation="later-1"))

    monkeypatch.setattr(evidence.time, "sleep", sleep)
    assert run(["evidence", "show", "--follow", "--output", "json"]) == 130
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["record"]["operation"] for line in lines] == ["backup-now-1", "later-1"]


def test_halted_nothing_begins_until_it_is_lifted(book: FileJournal, capsys: Capture) -> None:
    assert run(["halt", "--status"]) == ExitCode.PASS
    assert run(["halt"]) == ExitCode.USAGE
    assert run(["halt", "--reason", "looking by hand"]) == ExitCode.PASS
    assert run(["halt", "--status"]) == ExitCode.FINDING
    capsys.readouterr()
    for command in (["up"], ["down", "--yes"]):
        assert run(command) == ExitCode.USAGE
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "by anne: looking by hand" in err
    assert run(["halt", "--lift"]) == ExitCode.USAGE
    assert run(["halt", "--lift", "--reason", "write to x@example.org"]) == ExitCode.USAGE
    assert run(["halt", "--lift", "--reason", "done"]) == ExitCode.PASS
    assert run(["halt", "--status", "--output", "json"]) == ExitCode.PASS
    assert [entry.record.kind for entry in book.entries()] == [RecordKind.HALTED, RecordKind.HALT_LIFTED]
    assert {entry.record.actor for entry in book.entries()} == {"anne"}


@pytest.mark.parametrize("arguments", [["--lift", "--status"], ["--status", "--reason", "x"]])
def test_options_that_do_not_go_together(book: FileJournal, arguments: list[str]) -> None:
    del book
    assert run(["halt", *arguments]) == ExitCode.USAGE


def test_the_actor_is_whoever_is_named_or_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALOPS_ACTOR", " noel ")
    assert actor() == "noel"
    monkeypatch.delenv("VITALOPS_ACTOR")
    monkeypatch.setenv("SUDO_USER", "anne")
    assert actor() == "anne"
    monkeypatch.delenv("SUDO_USER")
    assert actor()
