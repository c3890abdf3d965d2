"""`vitalops runbook serve`: what it refuses before it listens, and who is let in."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.main import run
from runbooks.serve.people import People
from vitalops.errors import ExitCode
from vitalops.ports.clock import SystemClock
from vitalops.secretstore import FileSecretStore

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def state(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(root)
    monkeypatch.delenv("VITALOPS_PLATFORM", raising=False)
    monkeypatch.setenv("VITALOPS_STATE", str(tmp_path))
    return tmp_path


def people(state: Path) -> People:
    return People(FileSecretStore(state / "secrets" / "vitalops"), SystemClock())


def test_somebody_added_gets_a_token_in_a_file_and_nowhere_else(state: Path, capsys: Capture) -> None:
    assert run(["runbook", "serve", "--add-person", "anne"]) == ExitCode.PASS
    told = capsys.readouterr()
    file = state / "operations" / "vitalops" / "oncall-anne.token"
    assert file.stat().st_mode & 0o777 == 0o600
    token = file.read_text().strip()
    assert token not in told.out + told.err
    assert str(file) in told.out
    assert people(state).log_in("anne", token) is not None
    assert run(["runbook", "serve", "--add-person", "anne"]) == ExitCode.PASS
    assert people(state).log_in("anne", token) is None
    assert run(["runbook", "serve", "--revoke-person", "anne"]) == ExitCode.PASS
    assert people(state).log_in("anne", file.read_text().strip()) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "nowhere"], "no address"),
        (["--listen", "127.0.0.1:99999"], "no address"),
        (["--listen", "127.0.0.1"], "no address"),
        (["--listen", "10.201.0.2:9443", "--plain-http"], "loopback only"),
        (["--plain-http"], "vitalops up"),
        (["--add-person", "Anne Martin"], "cannot name a person"),
        (["--revoke-person", "anne"], "not on call"),
        (["--add-person", "a", "--revoke-person", "b"], "two different things"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(
    state: Path, arguments: list[str], said: str, capsys: Capture
) -> None:
    del state
    assert run(["runbook", "serve", *arguments]) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err
