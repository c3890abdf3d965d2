"""The table of `vitalops slo status`: at any width, with and without colours."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.slo_table import layout, render
from vitalops.model.slo import RatioSli, Selector
from vitalops.slo.budget import Counts, RegionMeasure, State, status_of, worst_first
from vitalops.slo.objectives import Slo
from vitalops.slo.status import SloReport, SourceState, Verdict

Golden = Callable[[Path | str, str], None]
NOW = datetime(2026, 11, 22, 21, 0, tzinfo=UTC)


def slo(service: str, sli: str, objective: float) -> Slo:
    selector = Selector(metric="requests_total")
    declared = RatioSli(kind="ratio", description="of a test", runbook="r", total=selector, bad=selector)
    return Slo(service, sli, declared, objective, 30, pages=True)


def measured(
    *bad: float, hour: float = 0.0, covered: float = 1.0, trouble: State | None = None
) -> RegionMeasure:
    buckets = tuple(Counts(100_000 / len(bad), each) for each in bad)
    return RegionMeasure("fr-par", buckets, Counts(1000, hour), Counts(6000, hour), covered, NOW, trouble)


def report(verdict: Verdict = Verdict.EXHAUSTED) -> SloReport:
    gone = RegionMeasure("fr-gra", trouble=State.UNREACHABLE)
    statuses = [
        status_of(each, "france", [found, gone], timedelta(days=30))
        for each, found in (
            (slo("records", "answered", 0.999), measured(*[0] * 12, 80, 40, 10, hour=15)),
            (slo("consultation", "consultation-completed", 0.99), measured(*[20] * 30, hour=40)),
            (slo("identity", "answered", 0.999), measured(0, 0, 3, covered=0.02)),
            (
                slo("notification", "monitor-alert-delivered", 0.999),
                RegionMeasure("fr-par", trouble=State.ABSENT),
            ),
            (slo("payment", "prompt", 0.98), measured(10, 10, trouble=State.FROZEN)),
            (
                slo("audit", "answered", 0.995),
                RegionMeasure("fr-par", (Counts(0, 0),), Counts(0, 0), covered=1.0),
            ),
        )
    ]
    sources = (
        SourceState("fr-par", ("fr-par",), True, "", {"fr-par": NOW}, ("fr-par",)),
        SourceState("fr-gra", ("fr-gra",), False, "region fr-gra: Prometheus is not reached"),
    )
    return SloReport(NOW, verdict, sources, tuple(sorted(statuses, key=worst_first)))


@pytest.mark.parametrize("columns", [80, 110, 200])
def test_as_wide_as_there_is_room(golden: Golden, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    golden(f"status-{columns}.txt", render(report()) + "\n")


@pytest.mark.parametrize("width", range(40, 200, 25))
def test_rows_fit_and_align(width: int) -> None:
    rows = layout(report().slos, width)
    lengths = {sum(len(cell.text) + 2 for cell in row) - 2 for row in rows}
    assert len(lengths) == 1
    assert lengths.pop() <= max(width, 62), "state, service, a short name, left and burn always stay"


def test_colours_are_added_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    plain = render(report())
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = render(report())
    assert "\x1b[31mEXHAUSTED*" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured).split() == plain.split()


def test_several_scopes_are_told_apart() -> None:
    one = report().slos
    two = [status_of(slo("records", "answered", 0.999), "switzerland", [measured(1)], timedelta(days=30))]
    assert [cell.text.strip() for cell in layout([*one, *two], 200)[0]][1] == "SCOPE"
    assert "SCOPE" not in [cell.text.strip() for cell in layout(one, 200)[0]]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.OK, "no budget is spent"),
        (Verdict.EXHAUSTED, "1 of 6 budgets spent"),
        (Verdict.INCOMPLETE, "not everything could be measured"),
    ],
)
def test_the_last_line_is_the_verdict(verdict: Verdict, words: str) -> None:
    assert words in render(report(verdict)).splitlines()[-1]
