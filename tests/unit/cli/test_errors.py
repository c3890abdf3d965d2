"""What becomes of exceptions, and what a process leaves behind when it ends early."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cli import context
from cli.errors import guard
from vitalops.errors import (
    DriftError,
    GateFailed,
    RemoteError,
    SpecErrors,
    SpecFault,
    UsageError,
    VitalopsError,
)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    context.reset()
    monkeypatch.delenv(context.DEBUG_VARIABLE, raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def raising(error: BaseException) -> int:
    def action() -> None:
        raise error

    return guard(action, [])


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UsageError("no root", hint="use sudo"), 2, "error: no root (use sudo)"),
        (GateFailed("step join failed"), 1, "error: step join failed"),
        (DriftError("drift"), 1, "error: drift"),
        (RemoteError("no answer\nfrom fr-par"), 3, "error: no answer from fr-par"),
        (VitalopsError("x"), 3, "error: x"),
        (SpecErrors((SpecFault("f", 1, "/a", "p", "h"),)), 2, "error: f:1: /a: p; h"),
        (KeyboardInterrupt(), 130, "error: interrupted (run the same command again to go on)"),
        (typer.Abort(), 130, "error: interrupted (run the same command again to go on)"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/cache/go"),
            3,
            "error: No space left on device: /cache/go (free some disk space, then run the same command again)",
        ),
        (TimeoutError("timed out"), 3, "error: timed out (VITALOPS_DEBUG=1 shows where it happened)"),
        (
            ZeroDivisionError("division by zero"),
            3,
            "error: ZeroDivisionError: division by zero (a fault of vitalops itself: VITALOPS_DEBUG=1 shows where)",
        ),
    ],
)
def test_an_error_is_one_line_and_its_status(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(error) == status
    told = capsys.readouterr()
    assert told.err == line + "\n"
    assert told.out == ""


def test_a_command_may_end_with_a_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(typer.Exit(7)) == 7
    assert guard(lambda: None, []) == 0
    assert capsys.readouterr() == ("", "")


def test_an_error_is_an_object_under_output_json(capsys: pytest.CaptureFixture[str]) -> None:
    context.choose_output("json")
    assert raising(GateFailed("step join failed", hint="look at the media server")) == 1
    assert json.loads(capsys.readouterr().err) == {
        "error": {
            "kind": "GateFailed",
            "message": "step join failed",
            "hint": "look at the media server",
            "exit_code": 1,
        }
    }


def test_the_traceback_is_shown_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(context.DEBUG_VARIABLE, "1")
    assert raising(ZeroDivisionError("x")) == 3
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_fault(root: Path) -> None:
    # The reader is gone before the first byte, as with `vitalops schema | true`.
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; sys.stdin.read(); from cli.main import run; sys.exit(run(['schema']))",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=root,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, told = process.communicate(timeout=60)
    assert process.returncode == 141
    assert told == b""


def test_a_broken_pipe_elsewhere_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(BrokenPipeError("to a child")) == 3
    assert "to a child" in capsys.readouterr().err
