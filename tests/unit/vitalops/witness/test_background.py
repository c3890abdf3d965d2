"""The witness as a process that is found again: real processes, but small ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vitalops.errors import RemoteError
from vitalops.witness.background import Background

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]
ENDS = [sys.executable, "-c", "import sys; print('\\nno such address\\n'); sys.exit(2)"]


def test_it_is_started_found_again_and_stopped(tmp_path: Path) -> None:
    made = Background("france", tmp_path / "france")
    assert made.pid() is None
    pid = made.start(SLEEPS, lambda: True)
    try:
        again = Background("france", tmp_path / "france")
        assert again.pid() == pid
        assert again.start(ENDS, lambda: False) == pid
        assert Background("switzerland", tmp_path / "switzerland").pid() is None
    finally:
        assert made.stop()
    assert made.pid() is None
    assert not made.stop()


def test_one_that_ends_at_once_says_why(tmp_path: Path) -> None:
    made = Background("france", tmp_path)
    with pytest.raises(RemoteError, match="the witness of france ended: no such address"):
        made.start(ENDS, lambda: False)


def test_a_process_id_that_belongs_to_another_is_no_witness(tmp_path: Path) -> None:
    (tmp_path / "witness.pid").write_text("1\n")
    made = Background("france", tmp_path)
    assert made.pid() is None
    assert not made.stop()


def test_a_broken_record_is_none(tmp_path: Path) -> None:
    (tmp_path / "witness.pid").write_text("not a number")
    assert Background("france", tmp_path).pid() is None
