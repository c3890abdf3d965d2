"""`vitalops slo rules`: what it writes and says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import run
from infra.local.toolchain import system
from vitalops.errors import ExitCode, GateFailed, UsageError
from vitalops.slo import export


def test_every_paired_region_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["slo", "rules", "--out", str(tmp_path / "rules")]) == ExitCode.PASS
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["REGION", "FILES", "RECORDS", "ALERTS", "SIZE", "FOLDER"]
    assert [line.split()[0] for line in said[1:]] == ["fr-par", "fr-gra", "ch-gva", "ch-zrh"]
    for region in ("fr-par", "fr-gra", "ch-gva", "ch-zrh"):
        assert (tmp_path / "rules" / region / "records.yaml").is_file()


def test_one_region_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["slo", "rules", "--out", str(tmp_path), "--region", "fr-gra", "--output", "json"]
    assert run(arguments) == ExitCode.PASS
    (written,) = json.loads(capsys.readouterr().out)
    assert written["region"] == "fr-gra"
    assert written["folder"] == str(tmp_path / "fr-gra")
    assert "records.yaml" in written["files"]
    assert [path.name for path in tmp_path.iterdir()] == ["fr-gra"]


def test_an_unknown_region_and_a_file_in_the_way_are_usage_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["slo", "rules", "--out", str(tmp_path), "--region", "fr-pra"]) == ExitCode.USAGE
    assert "did you mean 'fr-par'?" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert run(["slo", "rules", "--out", str(tmp_path / "file")]) == ExitCode.USAGE
    assert "cannot write" in capsys.readouterr().err


def test_what_promtool_says_is_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checked: list[tuple[str, int]] = []

    def accepts(promtool: str, written: tuple[object, ...]) -> None:
        checked.append((promtool, len(written)))

    def refuses(promtool: str, written: tuple[object, ...]) -> None:
        raise GateFailed("promtool refuses the rules of fr-par: parse error")

    monkeypatch.setattr(
        system, "ensure_system", lambda names, progress: {name: f"/bin/{name}" for name in names}
    )
    monkeypatch.setattr(export, "check_rules", accepts)
    assert run(["slo", "rules", "--out", str(tmp_path), "--check"]) == ExitCode.PASS
    assert checked == [("/bin/promtool", 4)]
    monkeypatch.setattr(export, "check_rules", refuses)
    assert run(["slo", "rules", "--out", str(tmp_path), "--check"]) == ExitCode.FINDING
    assert "refuses the rules of fr-par" in capsys.readouterr().err


def test_no_promtool_to_be_had_is_never_a_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(names: list[str], progress: object) -> dict[str, str]:
        raise UsageError("missing on this machine: promtool", hint="sudo apt-get install prometheus")

    monkeypatch.setattr(system, "ensure_system", missing)
    assert run(["slo", "rules", "--out", str(tmp_path), "--check"]) == ExitCode.USAGE
    assert "apt-get install prometheus" in capsys.readouterr().err
