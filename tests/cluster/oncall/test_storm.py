"""10,000 alerts while the receiver is killed twice: none is lost, and each incident is acted on exactly once."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from bench.webhooks import ALERTS, PROMISED_SECONDS, storm
from runbooks.serve.incidents import IncidentState
from runbooks.serve.server import DATABASE
from vitalops.evidence.files import FileJournal

pytestmark = pytest.mark.rehearsal


def rows(file: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_a_storm_of_alerts_with_two_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = storm(tmp_path, ALERTS, kills=2)
    with capsys.disabled():
        print(
            f"\n{ALERTS} alerts, receiver killed twice: stored in {told.stored:.1f} s, all acted on after"
            f" {told.acted:.1f} s, {told.tries} messages sent"
        )
    assert told.dropped == 0
    incidents = rows(tmp_path / DATABASE, "SELECT id, state FROM vitalops_incidents")
    assert len(incidents) == ALERTS
    assert {state for _, state in incidents} == {IncidentState.STARTED}
    effects = Counter(number for (number,) in rows(tmp_path / "effects.sqlite", "SELECT alert FROM effects"))
    assert effects == dict.fromkeys(range(ALERTS), 1)
    journal = FileJournal(tmp_path / "journal.jsonl")
    count, faults = journal.verify()
    assert faults == []
    said = Counter(
        (entry.record.operation, entry.record.data["event"])
        for entry in journal.entries()
        if entry.record.operation.startswith("incident-")
    )
    assert said == {(name, event): 1 for name, _ in incidents for event in ("received", "acted")}
    assert count >= 2 * ALERTS
    assert told.acted <= PROMISED_SECONDS
