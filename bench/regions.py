"""The figures of two local regions: how fast they and the platform come up, and what everything takes in memory.

Each round stops and purges the default regions, then does what a user does: start, up, up again, verify.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import CommandFailed, Figure, available_bytes, repeated, seconds_of
from infra.operations.observe import Backend, endpoint
from infra.operations.setting import Setting
from vitalops.conventions import METRIC_REGION, NAMESPACE_AGENTS, NAMESPACE_TELEMETRY
from vitalops.model.loader import load_platform
from vitalops.observe.prometheus import PrometheusMetrics
from vitalops.paths import Paths

ROOT = Path(__file__).resolve().parent.parent
VITALOPS = str(ROOT / ".venv/bin/vitalops")
GIB = 2**30
GB = 1e9
LOOKED_AT_SECONDS = 60
"""After verify: several scrapes of every container's memory."""


def running_regions() -> list[str]:
    listed = subprocess.run(
        [VITALOPS, "regions", "list", "--output", "json"], capture_output=True, text=True, check=True
    )
    return [region["name"] for region in json.loads(listed.stdout) if region["state"] != "stopped"]


def settle() -> None:
    """Lets the page cache's write-back and dying processes finish, so that one run does not pay for the last."""
    subprocess.run(["sync"], check=True)
    time.sleep(3)


def telemetry_bytes(regions: list[str]) -> float:
    """Working set of everything in the namespaces of telemetry, of the region that takes most.

    Raises CommandFailed where a region's Prometheus has not seen it.
    """
    platform = load_platform(ROOT / "platform.yaml", datetime.now(UTC).date())
    setting = Setting(platform, Paths.from_environment(), tuple(regions))
    query = (
        f"sum by ({METRIC_REGION}) (container_memory_working_set_bytes"
        f'{{namespace=~"{NAMESPACE_TELEMETRY}|{NAMESPACE_AGENTS}"}})'
    )
    seen: list[float] = []
    for region in regions:
        backend = endpoint(setting, region, Backend.PROMETHEUS)
        samples = PrometheusMetrics(region, backend.base_url, backend.session).instant(query)
        if not samples:
            raise CommandFailed(f"{region}: Prometheus knows nothing of the telemetry's memory")
        seen.append(samples[0].value)
    return max(seen)


def measure(runs: int) -> tuple[Figure, ...]:
    """Raises CommandFailed where a command fails."""
    help_seconds = repeated(5 * runs, lambda: seconds_of([VITALOPS, "--help"]))
    print("warming toolchain and images", file=sys.stderr)
    seconds_of([VITALOPS, "toolchain", "ensure"])
    seconds_of([VITALOPS, "images", "build"])
    ready: list[float] = []
    up: list[float] = []
    again: list[float] = []
    verify: list[float] = []
    memory: list[float] = []
    telemetry: list[float] = []
    for turn in range(runs):
        print(f"regions: round {turn + 1} of {runs}", file=sys.stderr)
        seconds_of([VITALOPS, "--yes", "regions", "stop", "--purge"])
        settle()
        before = available_bytes()
        ready.append(seconds_of([VITALOPS, "regions", "start"]))
        up.append(seconds_of([VITALOPS, "--yes", "up"]))
        again.append(seconds_of([VITALOPS, "--yes", "up"]))
        verify.append(seconds_of([VITALOPS, "verify"]))
        time.sleep(LOOKED_AT_SECONDS)
        memory.append((before - available_bytes()) / GIB)
        telemetry.append(telemetry_bytes(running_regions()) / GB)
    seconds_of([VITALOPS, "--yes", "regions", "stop", "--purge"])
    return (
        Figure("both regions Ready", "s", 15, tuple(ready)),
        Figure("up, to all Ready in both regions", "s", 90, tuple(up)),
        Figure("up, nothing to do", "s", 10, tuple(again)),
        Figure("verify", "s", 30, tuple(verify)),
        Figure("memory of everything", "GiB", 7, tuple(memory)),
        Figure("memory of telemetry, a region", "GB", 0.6, tuple(telemetry)),
        Figure("vitalops --help", "s", 0.25, help_seconds),
    )
