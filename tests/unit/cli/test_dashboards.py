"""`vitalops dashboards`, with a Prometheus that answers from memory."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cli.commands import dashboards
from cli.main import run
from dashboards import names
from vitalops.errors import ExitCode, RemoteError
from vitalops.ports.metrics import MetricsSource, Sample, Series


class Answering:
    """Has one value for every question but those about some metrics."""

    name = "fr-par"

    def __init__(self, *without: str) -> None:
        self.without = without
        self.asked: list[str] = []

    def instant(self, query: str, at: datetime | None = None) -> tuple[Sample, ...]:
        assert at is not None
        return (Sample({}, 1.0, at),) if self._knows(query) else ()

    def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...]:
        assert start < end - step
        return (Series({}, ((end, 1.0),)),) if self._knows(query) else ()

    def _knows(self, query: str) -> bool:
        self.asked.append(query)
        return not any(metric in query for metric in self.without)


@pytest.fixture(autouse=True)
def _in_the_project(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setenv("VITALOPS_STATE", str(tmp_path))


def answer_by(monkeypatch: pytest.MonkeyPatch, source: MetricsSource) -> None:
    monkeypatch.setattr(dashboards, "_source", lambda *_: source)


def test_render_writes_what_list_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dashboards", "list", "--output", "json"]) == ExitCode.PASS
    listed = json.loads(capsys.readouterr().out)
    assert run(["dashboards", "render", "--out", str(tmp_path / "new" / "folder")]) == ExitCode.PASS
    written = {file.name: file for file in (tmp_path / "new" / "folder").iterdir()}
    assert set(written) == {f"{each['slug']}.json" for each in listed}
    for each in listed:
        assert json.loads(written[f"{each['slug']}.json"].read_text())["uid"] == each["uid"]


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run(["dashboards", "render", "--out", str(tmp_path / "file" / "below")]) == ExitCode.USAGE
    assert "cannot write" in capsys.readouterr().err


def test_a_region_in_use_passes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    source = Answering()
    answer_by(monkeypatch, source)
    assert run(["dashboards", "check"]) == ExitCode.PASS
    assert "0 have none" in capsys.readouterr().out
    # The primary is the active region until a failover says otherwise.
    assert any('region=~"fr-par"' in query for query in source.asked)


def test_panels_without_data_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_by(monkeypatch, Answering(names.MEDIA_ROOMS))
    assert run(["dashboards", "check", "--output", "json"]) == ExitCode.FINDING
    (region,) = json.loads(capsys.readouterr().out)
    found = {(each["question"]["dashboard"], each["question"]["panel"]) for each in region["findings"]}
    assert found == {
        ("region", "Rooms and participants"),
        ("consultation-quality", "Rooms and participants"),
    }
    assert {each["outcome"] for each in region["findings"]} == {"empty"}


def test_a_region_that_does_not_answer_is_no_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Silent(Answering):
        def instant(self, query: str, at: datetime | None = None) -> tuple[Sample, ...]:
            raise RemoteError("region fr-gra: Prometheus does not answer")

    answer_by(monkeypatch, Silent())
    assert run(["dashboards", "check", "--region", "fr-gra"]) == ExitCode.REMOTE
    assert "does not answer" in capsys.readouterr().err


def test_an_unknown_region_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dashboards", "check", "--region", "fr-pra"]) == ExitCode.USAGE
    assert "fr-par" in capsys.readouterr().err


def test_dashboards_are_chosen_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_by(monkeypatch, Answering(names.MEDIA_ROOMS))
    assert run(["dashboards", "check", "--dashboard", "drill", "--dashboard", "platform"]) == ExitCode.PASS
    assert run(["dashboards", "check", "--dashboard", "drilll"]) == ExitCode.USAGE
    assert "did you mean 'drill'" in capsys.readouterr().err
