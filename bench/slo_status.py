"""python -m bench.slo_status [--runs N]: `vitalops slo status` over 30 days of 60 objectives, start-up included.

A TSDB is made with promtool, a sample a minute of real and of synthetic traffic for every objective, and served by a
real Prometheus on loopback. The blocks are as a Prometheus of that age has them, compacted; its caches are warm after
the first run, which is not counted.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bench.measure import CommandFailed, Figure, repeated, seconds_of
from bench.tsdb import DAY_SECONDS, Recorded, prometheus, write_blocks
from infra.local.toolchain.system import ensure_system
from vitalops import conventions as c
from vitalops.model.loader import load_platform
from vitalops.ports.progress import SilentProgress
from vitalops.slo.objectives import Slo, objectives_of

ROOT = Path(__file__).resolve().parent.parent
VITALOPS = str(ROOT / ".venv/bin/vitalops")
REGION = "fr-par"
PAIR = "france"
DAYS = 30
OBJECTIVES = 60
AHEAD_SECONDS = 3600
"""Blocks go on for an hour from when they are made, so that there is data of now while it is measured."""


def larger_platform(folder: Path) -> Path:
    """The bundled platform with services added until it has at least `OBJECTIVES` objectives."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "platform.yaml").read_text())
    model = document["services"]["records"]
    path = folder / "platform.yaml"
    for number in range(OBJECTIVES):
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        if len(objectives_of(load_platform(path, datetime.now(UTC).date()))) >= OBJECTIVES:
            break
        document["services"][f"extra-{number:02}"] = model
    return path


def day(slos: tuple[Slo, ...], begin: float, end: float) -> Iterator[Recorded]:
    """A sample a minute of events and bad events, a few thousandths of them bad."""
    chance = random.Random(begin)  # noqa: S311  # a history, not a secret
    moments = [begin + 60 * minute for minute in range(int((end - begin) / 60))]
    for slo in slos:
        for traffic in (c.TRAFFIC_REAL, c.TRAFFIC_SYNTHETIC):
            labels = {
                c.METRIC_SLO: slo.id,
                c.METRIC_SLI: slo.sli_name,
                c.METRIC_SERVICE: slo.service,
                c.METRIC_REGION: REGION,
                c.METRIC_PAIR: PAIR,
                c.METRIC_TRAFFIC: traffic,
            }
            events = [chance.randrange(60) for _ in moments]
            bad = [int(count > 0 and chance.random() < 0.02) for count in events]
            for base, counts in ((c.RECORD_EVENTS, events), (c.RECORD_BAD, bad)):
                yield Recorded(f"{base}1m", labels, zip(moments, counts, strict=True))
                if end - begin < DAY_SECONDS:
                    for window in ("1h", "6h"):
                        hours = int(window[:-1])
                        sums = (
                            (moment, count * 60 * hours)
                            for moment, count in zip(moments, counts, strict=True)
                        )
                        yield Recorded(f"{base}{window}", labels, sums)


def make_history(folder: Path, slos: tuple[Slo, ...], days: int = DAYS) -> None:
    now = time.time() // 60 * 60
    for back in range(days, 0, -1):
        write_blocks(folder, day(slos, now - back * DAY_SECONDS, now - (back - 1) * DAY_SECONDS))
    up = Recorded("up", {"job": c.JOB_SERVICES, c.METRIC_REGION: REGION}, scrapes(now, now + AHEAD_SECONDS))
    write_blocks(folder, [*day(slos, now, now + AHEAD_SECONDS), up])


def scrapes(begin: float, end: float) -> Iterator[tuple[float, float]]:
    return ((begin + 5 * place, 1.0) for place in range(int((end - begin) / 5)))


def measure(runs: int) -> Figure:
    """Raises CommandFailed where the command says anything but that budgets are, or are not, spent."""
    ensure_system(("prometheus", "promtool"), SilentProgress())
    with tempfile.TemporaryDirectory(prefix="vitalops-bench-") as scratch:
        path = larger_platform(Path(scratch))
        slos = objectives_of(load_platform(path, datetime.now(UTC).date()))
        make_history(Path(scratch) / "data", slos)
        with prometheus(Path(scratch) / "data") as served:
            command = [VITALOPS, "--platform", str(path), "slo", "status", "--region", REGION]
            command += ["--prometheus", served.url, "--output", "json"]
            seconds_of(command, expected=(0, 1))
            taken = repeated(runs, lambda: seconds_of(command, expected=(0, 1)))
    return Figure(f"slo status, {DAYS} days of {len(slos)} objectives", "s", 3, taken)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.slo_status", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often the command is run (default 5)")
    try:
        figure = measure(max(parser.parse_args().runs, 1))
    except CommandFailed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 3
    print(figure.record())
    return 0 if figure.holds else 1


if __name__ == "__main__":
    sys.exit(main())
