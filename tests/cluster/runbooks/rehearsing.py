"""Runs a runbook as a user would, and records what the run has proven."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.cluster.conftest import RunningPlatform


def rehearse(running: RunningPlatform, name: str, *arguments: str, seconds: float = 600) -> dict[str, Any]:
    """The finished run, its outputs by step. Fails the test where it does not succeed."""
    began = time.monotonic()
    done = running.vitalops("--yes", "runbook", "run", name, *arguments, "--output", "json", seconds=seconds)
    took = time.monotonic() - began
    run: dict[str, Any] = json.loads(done.stdout)
    assert run["state"] == "succeeded", run
    running.vitalops(
        "runbook", "rehearsed", name, "--seconds", f"{took:.1f}", "--operation", run["id"], "--output", "json"
    )
    return run
