"""From journal, ledger and witness to what a failover took and cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from vitalops.errors import UsageError
from vitalops.evidence.record import Entry as Kept
from vitalops.evidence.record import Record, RecordKind
from vitalops.ledger.book import Contents
from vitalops.ledger.compare import Comparison, Numbered, compare
from vitalops.ledger.drawing import page, text
from vitalops.ledger.entries import Entry, Found, Kind, Outcome, Visit
from vitalops.ledger.report import FailoverReport, latest_run, report_of
from vitalops.model.loader import load_platform
from vitalops.model.platform import FailoverPair

LOSS = 1_790_000_000.0
RUN = "region-failover-k3v9qd"


@pytest.fixture
def pair(root: Path) -> FailoverPair:
    return load_platform(root / "platform.yaml", date(2026, 11, 1)).pairs["france"]


def kept(after: float, kind: RecordKind, data: dict[str, Any], *, run: str = RUN, reason: str = "") -> Kept:
    name = "region-loss" if kind is RecordKind.OBSERVED else "region-failover"
    at = datetime.fromtimestamp(LOSS + after, UTC)
    return Kept(1, at, Record(kind, run, name, "witness", "pair/france", reason, data), "", "")


def step(after: float, name: str, **data: Any) -> Kept:
    return kept(after, RecordKind.STEP, {"step": name, **data})


def journal() -> list[Kept]:
    reason = "fr-par silent for 5.1 s (loss-france-1790000005)"
    facts = {"source": "fr-par", "target": "fr-gra"}
    observed = {"silent_since": LOSS - 0.2, "decided": LOSS + 4.9}
    return [
        kept(4.9, RecordKind.OBSERVED, observed, run="loss-france-1790000005"),
        kept(4.95, RecordKind.REQUESTED, {"parameters": {"to": "fr-gra", "planned": False}}, reason=reason),
        kept(5.0, RecordKind.STARTED, {"token": 7}, reason=reason),
        step(5.4, "preflight", what="due", facts=facts),
        step(5.6, "fence", what="applied", output={"proof": "synchronous"}),
        step(6.4, "promote", what="applied", output={"writable_at": LOSS + 6.3}),
        step(6.6, "traffic", what="applied", output={"switched_at": LOSS + 6.5}),
        step(14.0, "consultation", what="applied", output={"good_at": LOSS + 13.9}),
        kept(20.0, RecordKind.FINISHED, {"outcome": "succeeded"}, reason=reason),
    ]


def write(number: int, tried: float, ended: float, region: str = "fr-par") -> Entry:
    return Entry(
        Kind.NOTE,
        "5b0c",
        number,
        LOSS + tried,
        LOSS + ended,
        Outcome.ACKNOWLEDGED,
        f"n{number}",
        region,
        LOSS + tried,
    )


def ledger() -> Contents:
    writes = (
        write(1, -1.0, -0.9),
        write(2, -0.3, -0.25),
        write(3, 6.9, 7.0, "fr-gra"),
        write(4, 7.2, 7.3, "fr-gra"),
    )
    visits = (
        Visit(LOSS - 2, LOSS + 9, True),
        Visit(LOSS + 1, LOSS + 6, False, "both sign in", "503"),
        Visit(LOSS + 7, LOSS + 11.5, True),
    )
    return Contents("trial", "france", writes, visits)


def found(*numbers: int) -> Comparison:
    there = [Found(Kind.NOTE, "5b0c", number, f"n{number}", LOSS + number) for number in numbers]
    return compare(ledger().entries, there)


def full(pair: FailoverPair) -> FailoverReport:
    return report_of(pair, journal(), RUN, ledger(), found(1, 2, 3, 4), LOSS)


def test_every_milestone_is_counted_from_the_loss(pair: FailoverPair) -> None:
    made = full(pair)
    assert [(each.name, each.seconds) for each in made.milestones] == [
        ("detection", 4.9),
        ("decision", 5.0),
        ("fence", 5.6),
        ("promotion", 6.3),
        ("traffic", 6.5),
        ("first acknowledged write", 7.0),
        ("first good consultation", 11.5),
    ]
    assert (made.source, made.target, made.planned, made.outcome) == ("fr-par", "fr-gra", False, "succeeded")
    assert (made.write_pause, made.last_before) == (7.25, 0.25)
    assert (made.lost, made.rpo_measured, made.rto_measured) == (0, 0.0, 11.5)
    assert made.holds


def test_a_lost_write_is_as_old_as_it_was_at_the_loss(pair: FailoverPair) -> None:
    made = report_of(pair, journal(), RUN, ledger(), found(1, 3, 4), LOSS)
    assert (made.lost, made.rpo_measured) == (1, 0.25)
    assert not made.holds
    assert "RPO 0.25 s of 0 s: MISSED" in text(made)


def test_without_a_given_moment_the_witness_says_when_it_was(pair: FailoverPair) -> None:
    made = report_of(pair, journal(), RUN)
    assert made.loss_at == LOSS - 0.2
    assert made.rto_measured == pytest.approx(14.1)
    assert made.rpo_measured is None
    assert "RPO not measured" in text(made)


def test_an_attempt_from_before_the_loss_is_not_the_first_write_after_it(pair: FailoverPair) -> None:
    early = replace(ledger(), entries=(write(1, -0.1, 0.2), *ledger().entries[2:]))
    assert report_of(pair, journal(), RUN, early, None, LOSS).after("first acknowledged write") == 7.0


def test_the_last_answers_of_a_dying_region_are_not_the_first_write_after_it(pair: FailoverPair) -> None:
    dying = replace(ledger(), entries=(write(1, 0.1, 0.2), *ledger().entries[2:]))
    assert report_of(pair, journal(), RUN, dying, None, LOSS).after("first acknowledged write") == 7.0


def test_a_switchover_counts_from_when_requests_waited(pair: FailoverPair) -> None:
    records = [entry for entry in journal() if entry.record.kind is not RecordKind.OBSERVED]
    records[0] = kept(4.95, RecordKind.REQUESTED, {"parameters": {"to": "fr-gra", "planned": True}})
    records[3] = step(5.6, "fence", what="applied", output={"paused_at": LOSS + 5.2})
    made = report_of(pair, records, RUN)
    assert made.planned
    assert made.loss_at == LOSS + 5.2
    assert made.after("traffic") == pytest.approx(1.3)


def test_a_run_that_goes_on_or_failed_keeps_no_promise(pair: FailoverPair) -> None:
    made = report_of(pair, journal()[:-2], RUN, ledger(), found(1, 2, 3, 4), LOSS)
    assert made.outcome == "goes on"
    assert not made.holds


def test_what_the_journal_does_not_hold_is_said(pair: FailoverPair) -> None:
    with pytest.raises(UsageError, match="holds nothing of"):
        report_of(pair, journal(), "region-failover-other")
    with pytest.raises(UsageError, match="has not begun"):
        report_of(pair, journal()[:2], RUN)
    with pytest.raises(UsageError, match="holds no failover"):
        latest_run(journal(), "switzerland")
    assert latest_run(journal(), "france") == RUN


def test_lines_and_page_are_as_they_were(
    pair: FailoverPair, golden: Callable[[Path | str, str], None]
) -> None:
    golden("report.txt", text(full(pair)) + "\n")
    golden("report.html", page(full(pair)))


def test_nothing_in_the_page_is_loaded_or_run_and_names_are_escaped(pair: FailoverPair) -> None:
    made = page(replace(full(pair), run="<script>x</script>"))
    assert "<script" not in made
    assert "src=" not in made
    assert "href=" not in made


def test_lost_writes_are_named() -> None:
    assert found(1, 2, 3).lost == (Numbered(Kind.NOTE, "5b0c", 4),)
