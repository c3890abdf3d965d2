from __future__ import annotations

import sys

import pytest

from infra.local.images.runner import SubprocessRunner, ToolFailed
from vitalops.errors import UsageError

PYTHON = sys.executable


def test_stdout_is_returned_and_stderr_kept_apart() -> None:
    script = "import sys; print('out'); print('noise', file=sys.stderr)"
    assert SubprocessRunner().run([PYTHON, "-c", script]) == "out\n"


def test_the_environment_is_added_to() -> None:
    script = "import os; print(os.environ['ADDED'], 'PATH' in os.environ)"
    assert SubprocessRunner().run([PYTHON, "-c", script], environment={"ADDED": "x"}) == "x True\n"


def test_stdin_is_fed() -> None:
    answer = SubprocessRunner().run(
        [PYTHON, "-c", "import sys; print(len(sys.stdin.buffer.read()))"],
        feed=lambda pipe: [pipe.write(b"x" * 100_000) for _ in range(30)] and None,
    )
    assert answer == "3000000\n"


def test_a_program_that_stops_reading_fails_with_its_own_reason() -> None:
    def endless(pipe: object) -> None:
        for _ in range(10_000):
            pipe.write(b"x" * 100_000)  # type: ignore[attr-defined]

    with pytest.raises(ToolFailed, match="status 3: refused") as caught:
        SubprocessRunner().run(
            [PYTHON, "-c", "import sys; print('refused', file=sys.stderr); sys.exit(3)"], feed=endless
        )
    assert caught.value.code == 3


def test_a_missing_program_is_named() -> None:
    with pytest.raises(UsageError, match="no-such-program is not installed"):
        SubprocessRunner().run(["no-such-program"])


def test_a_failing_feeder_is_not_swallowed() -> None:
    def broken(_: object) -> None:
        raise FileNotFoundError(2, "gone", "/blob")

    with pytest.raises(FileNotFoundError):
        SubprocessRunner().run([PYTHON, "-c", "import sys; sys.stdin.read()"], feed=broken)
