"""A runner killed with -9 at every moment of a run: taken up, it finishes or undoes, and repeats nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.runbooks.engine.killing import judge, kill_at

pytestmark = pytest.mark.rehearsal


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["well", "fails"])
def test_killed_at_every_moment(tmp_path: Path, kind: str) -> None:
    told = kill_at(tmp_path, kind, "all")
    assert len(told) > 40
    for each in told:
        judge(each, kind)
