"""What the dashboard looks like: golden files of one bad night, and what must hold for any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.watch.frame import View, frame
from vitalops.model.slo import RatioSli, Selector
from vitalops.ports.metrics import FiringAlert
from vitalops.slo.budget import Counts, RegionMeasure, State, status_of, worst_first
from vitalops.slo.objectives import Slo
from vitalops.slo.status import SloReport, SourceState, Verdict
from vitalops.watch.snapshot import BudgetView, Held, Operation, RegionState, RegionView, Snapshot, Vitals

Golden = Callable[[Path | str, str], None]
NOW = datetime(2026, 11, 22, 2, 20, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def slo(service: str, sli: str, objective: float) -> Slo:
    declared = RatioSli(
        kind="ratio",
        description="of a test",
        runbook="service-rollback",
        total=Selector(metric="requests_total"),
        bad=Selector(metric="failures_total"),
    )
    return Slo(service, sli, declared, objective, 30, pages=True)


def measured(*bad: float, hour: float = 0.0, trouble: State | None = None) -> RegionMeasure:
    """A month of a hundred thousand events, its bad ones in equal parts of it."""
    buckets = tuple(Counts(100_000 / len(bad), each) for each in bad)
    return RegionMeasure("fr-par", buckets, Counts(1000, hour), Counts(6000, hour), 1.0, NOW, trouble)


def report() -> SloReport:
    gone = RegionMeasure("fr-gra", trouble=State.UNREACHABLE)
    asked = [
        (slo("records", "answered", 0.999), measured(*[0] * 12, 80, 40, 10, hour=15)),
        (slo("consultation", "consultation-completed", 0.99), measured(*[20] * 30, hour=40)),
        (slo("prescription", "prescription-signed", 0.999), measured(*[1] * 30)),
        (slo("identity", "answered", 0.999), measured(0, 0, 3)),
        (
            slo("notification", "monitor-alert-delivered", 0.999),
            RegionMeasure("fr-par", trouble=State.ABSENT),
        ),
        (slo("payment", "prompt", 0.98), measured(10, 10, trouble=State.FROZEN)),
        (
            slo("audit", "answered", 0.995),
            RegionMeasure("fr-par", (Counts(0, 0),), Counts(0, 0), covered=1.0),
        ),
    ]
    month = timedelta(days=30)
    statuses = sorted(
        (status_of(each, "france", [found, gone], month) for each, found in asked), key=worst_first
    )
    sources = (
        SourceState("fr-par", ("fr-par",), True, "", {"fr-par": NOW}),
        SourceState("fr-gra", ("fr-gra",), False, "region fr-gra: Prometheus is not reached"),
    )
    return SloReport(NOW, Verdict.EXHAUSTED, sources, tuple(statuses))


def alert(
    name: str, severity: str, minutes: float, summary: str, *, state: str = "active", runbook: str = ""
) -> FiringAlert:
    labels = {"alertname": name, "severity": severity, "region": "fr-par", "runbook": runbook}
    return FiringAlert(
        labels, {"summary": summary}, NOW - timedelta(minutes=minutes), f"{name}{minutes}", state
    )


def night() -> Snapshot:
    since = datetime(2026, 11, 22, 2, 14, 7, tzinfo=UTC)
    problem = "region fr-gra: the cluster at https://10.201.2.2:6443 does not answer (timed out)"
    par = RegionView(
        "fr-par",
        "france",
        True,
        Held(
            RegionState(
                False,
                "not ready: records",
                "primary",
                (Operation("region-fr-par", "ana@laptop (process 4711)", NOW - 42 * SECOND),),
            ),
            NOW - 2 * SECOND,
        ),
        Held(
            Vitals(3.0, 128.42, 0.0153, 7, 2, None, None, NOW - 42 * SECOND, 2.0),
            NOW - SECOND,
        ),
        Held(
            (
                alert("Watchdog", "none", 9000, "Alerting works in fr-par"),
                alert(
                    "RegionUnreachable", "page", 5, "fr-gra does not answer fr-par", runbook="region-failover"
                ),
                alert(
                    "ErrorBudgetBurn",
                    "page",
                    4,
                    "records: 2 % of its budget in an hour",
                    runbook="service-rollback",
                ),
                alert("TargetDown", "ticket", 90, "kubelet is not scraped", state="suppressed"),
            ),
            NOW - SECOND,
        ),
    )
    gra = RegionView(
        "fr-gra",
        "france",
        False,
        Held(RegionState(True, "", "standby"), since - 5 * SECOND, problem, since),
        Held(Vitals(1.0), since - 5 * SECOND, problem, since),
        Held((), since - 5 * SECOND, problem, since),
    )
    budgets = BudgetView("france", ("fr-par", "fr-gra"), Held(report(), NOW - 20 * SECOND))
    return Snapshot(NOW, "vitalops", 5.0, 5.0, (par, gra), (budgets,))


def shown(snapshot: Snapshot, view: View, width: int, height: int | None = None) -> str:
    return "\n".join(line.plain.rstrip() for line in frame(snapshot, view, width, height)) + "\n"


@pytest.mark.parametrize(
    ("name", "view", "width", "height"),
    [
        ("night-80x24.txt", View(), 80, 24),
        ("night-120x40.txt", View(), 120, 40),
        ("night-one-region.txt", View(region="fr-gra", paused=True), 100, 20),
        ("help.txt", View(help=True), 100, 20),
        ("once.txt", View(), 10_000, None),
    ],
)
def test_a_bad_night(golden: Golden, name: str, view: View, width: int, height: int | None) -> None:
    golden(name, shown(night(), view, width, height))


def test_before_the_first_answer(golden: Golden) -> None:
    regions = tuple(
        RegionView(name, "france", name == "fr-par", Held(), Held(), Held()) for name in ("fr-par", "fr-gra")
    )
    asking = Snapshot(
        NOW, "vitalops", 5.0, 5.0, regions, (BudgetView("france", ("fr-par", "fr-gra"), Held()),)
    )
    golden("asking.txt", shown(asking, View(), 80, 12))
    assert not asking.complete


@settings(max_examples=40)
@given(st.integers(20, 200), st.integers(4, 80), st.sampled_from([None, "fr-par", "fr-gra"]), st.booleans())
def test_a_frame_fills_any_terminal_and_no_more(
    width: int, height: int, region: str | None, helping: bool
) -> None:
    lines = frame(night(), View(region, help=helping), width, height)
    assert len(lines) == height
    assert all(line.cell_len <= width for line in lines)
    assert lines[-1].plain.startswith("q quit")


def test_a_region_whose_measurements_are_old_says_so() -> None:
    snapshot = night()
    par = replace(snapshot.regions[0], vitals=replace(snapshot.regions[0].vitals, at=NOW - 40 * SECOND))
    assert "43s!" in shown(replace(snapshot, regions=(par,)), View(), 100)


def test_a_standby_does_not_claim_the_consultations_that_it_has_copies_of() -> None:
    snapshot = night()
    par = snapshot.regions[0]
    here = Held(RegionState(True, "", "standby"), NOW)
    lines = shown(replace(snapshot, regions=(replace(par, state=here),)), View(), 100).splitlines()
    assert lines[2].split()[:9] == ["»fr-par", "ready", "standby", "-", "128.4", "1.53%", "-", "-", "42s"]


def test_alerting_without_its_watchdog_is_news() -> None:
    snapshot = night()
    par = replace(snapshot.regions[0], alerts=Held((), NOW))
    assert "no Watchdog alert: its alerting does not work" in shown(
        replace(snapshot, regions=(par,)), View(), 100
    )


def test_what_a_label_holds_never_reaches_the_terminal_as_a_command() -> None:
    snapshot = night()
    evil = alert("Evil", "page", 1, "\x1b]0;pwned\x07 [bold]not markup[/bold]")
    par = replace(snapshot.regions[0], alerts=Held((evil,), NOW))
    text = shown(replace(snapshot, regions=(par,)), View(), 100)
    assert "\x1b" not in text
    assert "[bold]not markup[/bold]" in text
