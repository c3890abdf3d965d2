"""`vitalops alerts`, with regions that answer from memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.commands import alerts
from cli.main import run
from vitalops.errors import ExitCode, RemoteError
from vitalops.model.platform import Platform
from vitalops.ports.metrics import AlertSource, FakeAlerts, FiringAlert

Regions = dict[str, AlertSource]


@pytest.fixture
def regions(root: Path, monkeypatch: pytest.MonkeyPatch) -> Regions:
    monkeypatch.chdir(root)
    found: Regions = {name: FakeAlerts(name) for name in ("fr-par", "fr-gra")}

    def source(platform: Platform, region: str) -> Callable[[], AlertSource]:
        del platform
        return lambda: found[region]

    monkeypatch.setattr(alerts, "_source", source)
    return found


def firing(name: str, severity: str, *, silenced: bool = False) -> FiringAlert:
    return FiringAlert(
        {"alertname": name, "severity": severity, "runbook": "scale-out"},
        {"summary": f"{name} happens"},
        datetime.now(UTC) - timedelta(minutes=5, seconds=3),
        name,
        "suppressed" if silenced else "active",
        silenced,
    )


def test_quiet_regions(regions: Regions, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["alerts", "--exit-code"]) == ExitCode.PASS
    assert capsys.readouterr().out == "no alerts\n"


def test_a_page_with_its_age_and_runbook(regions: Regions, capsys: pytest.CaptureFixture[str]) -> None:
    regions["fr-gra"] = FakeAlerts("fr-gra", (firing("ErrorBudgetBurn", "page"),))
    assert run(["alerts"]) == ExitCode.PASS
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.startswith("5m ")
    assert line.split("  ")[-1] == "scale-out"
    assert "fr-gra" in line
    assert run(["alerts", "--exit-code"]) == ExitCode.FINDING
    capsys.readouterr()
    assert run(["alerts", "--exit-code", "--region", "fr-par"]) == ExitCode.PASS


def test_silenced_alerts_are_marked_and_find_nothing(
    regions: Regions, capsys: pytest.CaptureFixture[str]
) -> None:
    regions["fr-par"] = FakeAlerts("fr-par", (firing("ErrorBudgetBurn", "page", silenced=True),))
    assert run(["alerts", "--exit-code", "--output", "json"]) == ExitCode.PASS
    (found,) = json.loads(capsys.readouterr().out)["alerts"]
    assert (found["state"], found["region"], found["severity"]) == ("silenced", "fr-par", "page")
    assert found["age"] >= 303


def test_severities_are_chosen(regions: Regions, capsys: pytest.CaptureFixture[str]) -> None:
    regions["fr-par"] = FakeAlerts(
        "fr-par", (firing("A", "page"), firing("B", "ticket"), firing("C", "none"))
    )
    for arguments, names in (
        ([], ["A", "B"]),
        (["--severity", "ticket"], ["B"]),
        (["--severity", "page", "--severity", "none"], ["A", "C"]),
        (["--all"], ["A", "B", "C"]),
    ):
        run(["alerts", "--output", "json", *arguments])
        found = json.loads(capsys.readouterr().out)["alerts"]
        assert [each["name"] for each in found] == names
    assert run(["alerts", "--severity", "loud"]) == ExitCode.USAGE


def test_what_is_not_reached_is_said_and_is_no_pass(
    regions: Regions, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone() -> Exception:
        return RemoteError("region fr-gra: Alertmanager is not reached")

    regions["fr-gra"] = FakeAlerts("fr-gra", fails_with=gone)
    assert run(["alerts"]) == ExitCode.REMOTE
    out = capsys.readouterr().out
    assert "region fr-gra: Alertmanager is not reached" in out
    assert "no alerts" not in out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (45, "45s"), (725, "12m 5s"), (12000, "3h 20m"), (187200, "2d 4h"), (86400, "1d")],
)
def test_ages(seconds: int, text: str) -> None:
    assert alerts.age(timedelta(seconds=seconds)) == text
