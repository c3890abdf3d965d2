from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.commands.probe import line_of
from cli.main import run
from vitalops.consultation.walk import Outcome
from vitalops.pki import CertificateAuthority
from vitalops.prober.probe import ProbeResult
from vitalops.secretstore import FileSecretStore

NOBODY = "https://127.0.0.1:1"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A platform that was set up, and that nothing answers for."""
    monkeypatch.setenv("VITALOPS_STATE", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")
    FileSecretStore(tmp_path / "secrets" / "vitalops").get_or_create(
        "france/clients/vitalops-operator", lambda: "s3cret"
    )
    file = tmp_path / "ca.crt"
    file.write_text(CertificateAuthority.create("test").certificate_pem)
    return file


def result(problem: str = "") -> ProbeResult:
    outcome = Outcome.FAILED if problem else Outcome.PASSED
    step = "both sign in" if problem else ""
    return ProbeResult(datetime(2026, 1, 1, 12, tzinfo=UTC), outcome, step, problem, 3.456, "ab" * 16, ())


def test_a_walk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    passed, failed = line_of(result()), line_of(result("503 Service Unavailable"))
    assert "✓ passed" in passed
    assert passed.endswith(f"3.46 s  trace {'ab' * 16}")
    assert "✗ failed" in failed
    assert failed.endswith("both sign in: 503 Service Unavailable")


def test_counted_walks_that_fail_end_with_a_finding(
    authority: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["probe", "--edge", NOBODY, "--ca", str(authority), "--count", "1", "--output", "json"]
    assert run(arguments) == 1
    shown = capsys.readouterr()
    (line,) = shown.out.splitlines()
    document = json.loads(line)
    assert (document["outcome"], document["failed_step"]) == ("failed", "accounts are there")
    assert "no answer from https://127.0.0.1:1" in document["problem"]
    assert "1 of 1 synthetic consultations failed" in shown.err
    assert "s3cret" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (["--edge", "http://localhost:8443"], "not an https:// URL"),
        (["--interval", "1"], "interval"),
        (["--count", "0"], "count"),
        (["--pair", "frence"], "france"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_walked(
    authority: Path, arguments: list[str], seen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["probe", "--ca", str(authority), *arguments]) == 2
    assert seen in capsys.readouterr().err
