"""Runners killed with -9 at the moments that matter most; at every moment: tests/cluster/runbooks/test_kill.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.runbooks.engine.killing import judge, kill_at


@pytest.mark.parametrize(
    ("kind", "moments"),
    [
        ("well", ["after-decision", "before-apply:the middle of one", "after-apply:one", "before-finish"]),
        ("fails", ["after-undo:two"]),
    ],
)
def test_a_killed_runner_repeats_nothing(tmp_path: Path, kind: str, moments: list[str]) -> None:
    told = kill_at(tmp_path, kind, *moments)
    assert [each["boundary"] for each in told] == moments
    for each in told:
        judge(each, kind)
