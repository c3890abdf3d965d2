"""What pgBackRest says, read; and when a backup is due."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from vitalops.backup.repository import MISSING, Held, Repository, parse
from vitalops.backup.schedule import DAY, HOUR, Kind, Rule, due, timeline_of

WAL = "0000000300000001000000A7"


def entry(label: str, kind: str, ended: int, **more: Any) -> dict[str, Any]:
    return {
        "label": label,
        "type": kind,
        "timestamp": {"start": ended - 9, "stop": ended},
        "info": {"size": 95605905, "delta": 95605905, "repository": {"delta": 11593440}},
        "archive": {"start": WAL, "stop": WAL},
        "error": False,
        **more,
    }


def answer(*backups: dict[str, Any], code: int = 0, message: str = "ok") -> str:
    stanza = {
        "name": "fr-par",
        "status": {"code": code, "message": message},
        "cipher": "aes-256-cbc",
        "db": [{"id": 1, "system-id": 7711153059300761632}],
        "archive": [{"id": "17-1", "min": "000000030000000100000001", "max": WAL}],
        "backup": list(backups),
    }
    return json.dumps([{"name": "other"}, stanza])


def test_a_repository_is_read() -> None:
    found = parse(
        answer(entry("F", "full", 1000), entry("I", "incr", 2000, annotation={"mark": "run"})), "fr-par"
    )
    assert found == Repository(
        backups=(
            Held("F", "full", 991.0, 1000.0, 95605905, 11593440, WAL, WAL, False),
            Held("I", "incr", 1991.0, 2000.0, 95605905, 11593440, WAL, WAL, False, "run"),
        ),
        oldest="000000030000000100000001",
        newest=WAL,
        cipher="aes-256-cbc",
        systems=(7711153059300761632,),
    )
    assert found.last is not None
    assert found.last.label == "I"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", MISSING),
        (answer(code=1, message="missing stanza path"), MISSING),
        (answer(code=2, message="no valid backups"), ""),
        (answer(code=99, message="other"), "other"),
    ],
)
def test_why_a_repository_cannot_be_used(text: str, problem: str) -> None:
    assert parse(text, "fr-par").problem == problem


@pytest.mark.parametrize("text", ["", "{", '[{"name": "fr-par", "backup": [{}]}]'])
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        parse(text, "fr-par")


RULE = Rule(full_days=7, incremental_hours=24)
NOW = 100 * DAY


def held(kind: Kind, age: float) -> Held:
    return Held("label", kind.value, NOW - age - 9, NOW - age, 1, 1, WAL, WAL, False)


@pytest.mark.parametrize(
    ("backups", "timeline", "gap", "wanted"),
    [
        ((), 3, False, Kind.FULL),
        ((held(Kind.INCREMENTAL, HOUR),), 3, False, Kind.FULL),
        ((held(Kind.FULL, HOUR),), 3, False, None),
        ((held(Kind.FULL, 7 * DAY), held(Kind.INCREMENTAL, HOUR)), 3, False, Kind.FULL),
        ((held(Kind.FULL, 2 * DAY),), 3, False, Kind.INCREMENTAL),
        ((held(Kind.FULL, 2 * DAY), held(Kind.DIFFERENTIAL, HOUR)), 3, False, None),
        ((held(Kind.FULL, HOUR),), 4, False, Kind.INCREMENTAL),
        ((held(Kind.FULL, HOUR),), 3, True, Kind.INCREMENTAL),
    ],
)
def test_when_a_backup_is_due(
    backups: tuple[Held, ...], timeline: int, gap: bool, wanted: Kind | None
) -> None:
    found = due(Repository(backups=backups), RULE, timeline, gap, NOW)
    assert (found.kind if found else None) == wanted


def test_a_backup_without_wal_says_nothing_of_timelines() -> None:
    last = replace(held(Kind.FULL, HOUR), last_wal="")
    assert due(Repository(backups=(last,)), RULE, 9, False, NOW) is None
    assert timeline_of("0000001A00000000000000FF") == 26
