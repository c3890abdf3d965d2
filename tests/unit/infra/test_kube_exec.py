"""What the end of a command in a pod says."""

from __future__ import annotations

import json

import pytest

from infra.kube_exec import exit_status
from vitalops.errors import RemoteError


def failure(**more: object) -> bytes:
    return json.dumps({"kind": "Status", "status": "Failure", **more}).encode()


def test_success_is_zero() -> None:
    assert exit_status(b'{"metadata":{},"status":"Success"}', "pod") == 0


def test_a_failed_command_has_its_exit_status() -> None:
    causes = [{"reason": "ExitCode", "message": "7"}]
    assert exit_status(failure(message="exit code 7", details={"causes": causes}), "pod") == 7


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (failure(message="no such file", details={}), "no such file"),
        (failure(), "no reason given"),
        (b"", "ended before the command did"),
        (b'{"status', "ended before the command did"),
    ],
)
def test_a_command_that_did_not_run_has_none(told: bytes, said: str) -> None:
    with pytest.raises(RemoteError, match=said):
        exit_status(told, "region fr-par: ns/pod")
