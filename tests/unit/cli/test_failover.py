"""`vitalops witness`, `ledger` and `failover` where there is nothing to ask yet: one line, the right exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import run
from vitalops.evidence.files import FileJournal
from vitalops.evidence.record import Record, RecordKind
from vitalops.ledger.book import FOLDER, FileBook
from vitalops.ledger.entries import Entry, Kind, Outcome
from vitalops.paths import Paths

RUN = "region-failover-k3v9qd"


@pytest.fixture(autouse=True)
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> Paths:
    for name in ("CACHE", "STATE", "RUN"):
        monkeypatch.setenv(f"VITALOPS_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("VITALOPS_PLATFORM", str(root / "platform.yaml"))
    return Paths.from_environment()


def test_a_ledger_needs_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ledger", "run"]) == 2
    assert "either --seconds N or --until-enter" in capsys.readouterr().err
    assert run(["ledger", "run", "--seconds", "5", "--until-enter"]) == 2


def test_no_ledger_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ledger", "check"]) == 2
    assert "there is no ledger yet" in capsys.readouterr().err


def test_ledgers_are_listed(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    book = FileBook(paths.operations("vitalops") / FOLDER, "trial-1", "france")
    book.wrote(Entry(Kind.NOTE, "5b0c", 1, 1.0, 2.0, Outcome.UNKNOWN))
    assert run(["ledger", "list", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"ledger": "trial-1", "pair": "france", "writes": 1, "visits": 0}
    ]


def test_a_ledger_of_unknown_people_cannot_be_checked(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    FileBook(paths.operations("vitalops") / FOLDER, "trial-1", "france")
    assert run(["ledger", "check", "trial-1"]) == 2
    assert "the people of ledger trial-1 are not known here" in capsys.readouterr().err


def test_no_failover_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["failover", "report"]) == 2
    assert "the journal holds no failover of france" in capsys.readouterr().err


def test_a_failover_is_reported_from_the_journal_and_written_as_a_page(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = FileJournal(paths.journal("vitalops"))

    def append(kind: RecordKind, **data: object) -> None:
        journal.append(Record(kind, RUN, "region-failover", "grace", "pair/france", "", data))

    append(RecordKind.REQUESTED, parameters={"to": "fr-gra", "planned": False})
    append(RecordKind.STARTED, token=7)
    append(RecordKind.STEP, what="due", step="preflight", facts={"source": "fr-par", "target": "fr-gra"})
    append(RecordKind.STEP, what="applied", step="consultation", output={"good_at": 4102444800.0})
    append(RecordKind.FINISHED, outcome="succeeded")
    page = tmp_path / "failover.html"
    # The consultation came years later: the promised time was missed.
    assert run(["failover", "report", "--html", str(page), "--output", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["run"], report["source"], report["outcome"], report["ledger"]) == (
        RUN,
        "fr-par",
        "succeeded",
        "",
    )
    assert "<svg" in page.read_text()


def test_a_witness_that_does_not_run_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vitalops.model.addresses.WAN_HOST_ADDRESS", "127.0.0.1")
    assert run(["witness", "status"]) == 1
    assert "does not run: failing over is a person's to begin" in capsys.readouterr().out
    assert run(["witness", "stop"]) == 0
    assert "did not run" in capsys.readouterr().out
