from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands.verify import _line, _summary  # pyright: ignore[reportPrivateUsage]
from cli.main import run
from tests.unit.vitalops.consultation.test_quality import GOOD
from vitalops.consultation.report import StepReport, VerificationReport
from vitalops.consultation.walk import Outcome, StepResult, WalkResult
from vitalops.pki import CertificateAuthority
from vitalops.secretstore import FileSecretStore

PASSED = StepResult("patient books it", Outcome.PASSED, 0.1234, "found and booked")
FAILED = StepResult("patient consents", Outcome.FAILED, 2.0, "503 Service Unavailable")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VITALOPS_STATE", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def report(*steps: StepResult) -> VerificationReport:
    return VerificationReport.of(WalkResult(steps, 2.5), (GOOD,), pair="france", edge="https://edge.test")


def test_a_step_is_one_line_with_its_time_and_what_was_seen() -> None:
    line = _line(StepReport.of(PASSED))
    assert line.startswith("✓ patient books it ")
    assert "0.12 s  found and booked" in line
    assert _line(StepReport.of(FAILED)).startswith("✗ patient consents ")


def test_the_verdict_shows_what_each_side_received() -> None:
    verdict = _summary(report(PASSED))
    assert "1 steps in 2.5 s" in verdict
    assert "patient: 74 of 75 frames decoded" in verdict
    assert _summary(report(PASSED, FAILED)) == ""


def test_a_report_names_the_failed_step() -> None:
    failed = report(PASSED, FAILED)
    assert (failed.verified, failed.failed_step) == (False, "patient consents")
    good = report(PASSED)
    assert (good.verified, good.failed_step) == (True, "")
    assert good.call[0].mos == round(GOOD.mos, 2)


@pytest.mark.usefixtures("state")
def test_a_platform_that_was_never_set_up_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify"]) == 2
    error = capsys.readouterr().err
    assert "was not set up from here" in error
    assert "vitalops up" in error


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (["--pair", "frence"], "france"),
        (["--seconds", "0"], "seconds"),
        (["--ca", "/nowhere/ca.crt"], "no certificate authority at /nowhere/ca.crt"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_done(
    arguments: list[str], seen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", *arguments]) == 2
    assert seen in capsys.readouterr().err


def test_an_edge_that_is_not_https_is_refused(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = state / "ca.crt"
    authority.write_text(CertificateAuthority.create("test").certificate_pem)
    assert run(["verify", "--ca", str(authority), "--edge", "http://localhost:8443"]) == 2
    assert "not an https:// URL" in capsys.readouterr().err


def test_an_edge_that_does_not_answer_fails_the_first_step(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = FileSecretStore(state / "secrets" / "vitalops")
    store.replace("france/clients/vitalops-operator", "secret")
    store.replace("france/token-keys", '[{"kid": "k", "private_pem": "unused", "not_before": 0}]')
    authority = state / "ca.crt"
    authority.write_text(CertificateAuthority.create("test").certificate_pem)
    # Port 1 of loopback: nothing listens there, and nothing leaves the machine.
    assert run(["verify", "--ca", str(authority), "--edge", "https://127.0.0.1:1"]) == 1
    told = capsys.readouterr()
    assert "✗ edge answers with the platform's certificate" in told.out
    assert "no answer from https://127.0.0.1:1" in told.err
    assert "verification failed at" in told.err
