"""Alerts as Alertmanager tells them, and as a person is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import requests

from tests.unit.vitalops.observe.conftest import Recorded
from vitalops.errors import ExitCode, RemoteError
from vitalops.observe.alertmanager import AlertmanagerAlerts
from vitalops.observe.board import AlertState, board
from vitalops.ports.metrics import AlertSource, FakeAlerts, FiringAlert

PATH = "/api/v2/alerts"
NOW = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)
# Recorded from Alertmanager 0.28.
WATCHDOG = {
    "annotations": {"summary": "Alerting works in fr-par"},
    "endsAt": "2026-11-22T21:28:55.826Z",
    "fingerprint": "fd39fd9553e68771",
    "receivers": [{"name": "kept-only"}],
    "startsAt": "2026-11-22T21:19:30.826Z",
    "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"},
    "updatedAt": "2026-11-22T21:24:55.832Z",
    "generatorURL": "http://prometheus-0:9090/graph",
    "labels": {"alertname": "Watchdog", "pair": "france", "region": "fr-par", "severity": "none"},
}


def test_alerts_are_read_oldest_first(recorded: Recorded, session: requests.Session) -> None:
    older = {**WATCHDOG, "startsAt": "2026-11-22T20:00:00Z", "fingerprint": "aa"}
    silenced = {**WATCHDOG, "status": {**WATCHDOG["status"], "state": "suppressed", "silencedBy": ["x"]}}
    recorded.give(PATH, (200, json.dumps([silenced, older])))
    first, second = AlertmanagerAlerts("fr-par", recorded.url, session).alerts()
    assert first.fingerprint == "aa"
    assert first.started == datetime(2026, 11, 22, 20, tzinfo=UTC)
    assert (second.state, second.silenced) == ("suppressed", True)
    assert second.labels["alertname"] == "Watchdog"


@pytest.mark.parametrize("text", ['{"not": "a list"}', '[{"labels": {}}]', "[1]", '["x"]'])
def test_what_are_no_alerts_is_said(text: str, recorded: Recorded, session: requests.Session) -> None:
    recorded.give(PATH, (200, text))
    with pytest.raises(RemoteError, match="region fr-par: Alertmanager shows alerts that cannot be read"):
        AlertmanagerAlerts("fr-par", recorded.url, session).alerts()


def alert(
    name: str, minutes: float, *, severity: str = "page", state: str = "active", silenced: bool = False
) -> FiringAlert:
    labels = {"alertname": name, "severity": severity, "runbook": "scale-out", "service": "records"}
    started = NOW - timedelta(minutes=minutes)
    return FiringAlert(labels, {"summary": f"{name} happens"}, started, name, state, silenced)


def at(**regions: tuple[FiringAlert, ...]) -> dict[str, Callable[[], AlertSource]]:
    def source(name: str, firing: tuple[FiringAlert, ...]) -> Callable[[], AlertSource]:
        return lambda: FakeAlerts(name, firing)

    return {name: source(name, firing) for name, firing in regions.items()}


def test_the_board_joins_regions_oldest_first() -> None:
    found = board(at(par=(alert("A", 1), alert("B", 30)), gra=(alert("C", 10),)), NOW)
    assert [(each.name, each.region) for each in found.alerts] == [("B", "par"), ("C", "gra"), ("A", "par")]
    assert found.alerts[0].age == timedelta(minutes=30)
    assert (found.alerts[0].runbook, found.alerts[0].service) == ("scale-out", "records")


def test_what_only_informs_is_shown_when_asked_for() -> None:
    firing = (
        alert("Watchdog", 5, severity="none"),
        alert("Inhibited", 4, state="suppressed"),
        alert("Silenced", 3, state="suppressed", silenced=True),
    )
    assert [each.name for each in board(at(par=firing), NOW).alerts] == ["Silenced"]
    states = {each.name: each.state for each in board(at(par=firing), NOW, everything=True).alerts}
    assert states == {
        "Watchdog": AlertState.FIRING,
        "Inhibited": AlertState.INHIBITED,
        "Silenced": AlertState.SILENCED,
    }
    assert [each.name for each in board(at(par=firing), NOW, severities=["none"]).alerts] == ["Watchdog"]


@pytest.mark.parametrize(
    ("firing", "code"),
    [
        ((alert("A", 1),), ExitCode.FINDING),
        ((alert("A", 1, severity="ticket"),), ExitCode.PASS),
        ((alert("A", 1, state="suppressed", silenced=True),), ExitCode.PASS),
        ((), ExitCode.PASS),
    ],
)
def test_a_page_that_nobody_has_silenced_is_a_finding(
    firing: tuple[FiringAlert, ...], code: ExitCode
) -> None:
    found = board(at(par=firing), NOW)
    assert found.exit_code(findings=True) == code
    assert found.exit_code(findings=False) == ExitCode.PASS


def test_a_region_that_does_not_answer_is_never_quiet() -> None:
    def gone() -> AlertSource:
        raise RemoteError("region gra: its cluster does not answer")

    found = board({**at(par=(alert("A", 1),)), "gra": gone}, NOW)
    assert [each.name for each in found.alerts] == ["A"]
    assert found.unreachable == {"gra": "region gra: its cluster does not answer"}
    assert found.exit_code(findings=False) == ExitCode.REMOTE
    assert found.exit_code(findings=True) == ExitCode.FINDING
    assert board({"gra": gone}, NOW).exit_code(findings=True) == ExitCode.REMOTE
