from __future__ import annotations

import pytest

from vitalops.errors import (
    DriftError,
    GateFailed,
    RemoteError,
    SpecErrors,
    SpecFault,
    UsageError,
    VitalopsError,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (VitalopsError("x"), 3),
        (RemoteError("x"), 3),
        (UsageError("x"), 2),
        (SpecErrors(()), 2),
        (GateFailed("x"), 1),
        (DriftError("x"), 1),
    ],
)
def test_each_error_has_its_exit_status(error: VitalopsError, status: int) -> None:
    assert error.exit_code == status


def test_an_error_is_one_line_with_its_hint() -> None:
    assert str(UsageError("no root", hint="use sudo")) == "no root (use sudo)"
    assert str(UsageError("no root")) == "no root"


def test_a_fault_names_file_line_and_pointer() -> None:
    fault = SpecFault("p.yaml", 3, "/regions/x", "is wrong", "do it right")
    assert str(fault) == "p.yaml:3: /regions/x: is wrong; do it right"
    assert str(SpecFault("p.yaml", 0, "", "is wrong", "right")) == "p.yaml: /: is wrong; right"
    assert "\x1b" not in str(SpecFault("p.yaml", 1, "/\x1b[31m", "p", "h"))
