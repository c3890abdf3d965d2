"""Judging what the killed runners of `runner` left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

SERVER_VARIABLE = "VITALOPS_TRIAL_SERVER"
ROOT = Path(__file__).resolve().parents[4]
EFFECTS = ["one.1", "one.2", "two.1", "two.2"]


def kill_at(folder: Path, kind: str, *moments: str, server: str = "") -> list[dict[str, Any]]:
    """What came of a run that was killed at each of these moments in turn. `server`: a team's PostgreSQL."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.runbooks.engine.runner", str(folder), kind, *moments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), SERVER_VARIABLE: server},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


def judge(told: dict[str, Any], kind: str) -> None:
    """Killed, taken up, finished or undone; no effect twice; every turn and decision in the journal once."""
    where = f"killed at {told['boundary']}"
    assert told["signals"] == [signal.SIGKILL, 0], where
    assert told["state"] == ("failed-undone" if kind == "fails" else "succeeded"), where
    assert sorted(told["effects"]) == EFFECTS, where
    assert told["there"] == ([] if kind == "fails" else EFFECTS), where
    turns = [entry["data"]["turn"] for entry in told["journal"] if "turn" in entry["data"]]
    assert turns == list(range(len(turns))), where
    kinds = [entry["kind"] for entry in told["journal"]]
    once = ["requested", "finished"] if kind == "fails" else ["requested", "approved", "finished"]
    assert [kinds.count(each) for each in once] == [1] * len(once), where
