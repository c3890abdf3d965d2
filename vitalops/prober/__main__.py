"""The prober as a process: `python3 -m vitalops.prober`. One JSON line for each walk; ends cleanly on SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys

from vitalops.errors import UsageError
from vitalops.prober.loop import Beat, until_told, walk_on
from vitalops.prober.metrics import ProberMetrics
from vitalops.prober.probe import Probe, ProbeResult
from vitalops.prober.settings import ProberSettings

LONGEST_DELAY = 15.0
"""Seconds: probers of several regions that start together do not walk together."""


def log_line(result: ProbeResult, region: str) -> str:
    document = {
        "ts": result.started.isoformat(timespec="milliseconds"),
        "level": "info" if result.passed else "warning",
        "logger": "prober",
        "event": "walk",
        "region": region,
        "outcome": result.outcome.value,
        "step": result.failed_step,
        "problem": result.problem,
        "seconds": result.seconds,
        "trace_id": result.trace_id,
    }
    return json.dumps({name: value for name, value in document.items() if value != ""})


async def probe(settings: ProberSettings) -> None:
    """Walks until SIGTERM or SIGINT, and tidies up the walk that this interrupts."""
    prober = Probe(settings.target)
    metrics = ProberMetrics(prober.step_names)
    metrics.serve(settings.metrics_port)

    def report(result: ProbeResult) -> None:
        metrics.record(result)
        print(log_line(result, settings.region), flush=True)

    delay = random.uniform(0, min(LONGEST_DELAY, settings.interval))  # noqa: S311  # no secret depends on it
    await until_told(walk_on(prober.once, report, Beat(settings.interval, delay)))


def main() -> int:
    try:
        settings = ProberSettings.from_environment(os.environ)
        asyncio.run(probe(settings))
    except UsageError as error:
        print(json.dumps({"level": "error", "logger": "prober", "event": str(error)}), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
