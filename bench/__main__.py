"""python -m bench [--runs N] [--only PART]: every published figure, from a warm toolchain and warm images.

The regions' part purges the default regions' data, and refuses to begin while they run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bench import alerting, compiling, regions, slo_status, telemetry_cost, webhooks
from bench.measure import CommandFailed, Figure, write

ROOT = Path(__file__).resolve().parent.parent
PARTS: dict[str, Callable[[int], tuple[Figure, ...]]] = {
    "compiling": lambda runs: (compiling.measure(runs),),
    "telemetry": lambda runs: (telemetry_cost.figure(runs),),
    "status": lambda runs: (slo_status.measure(runs),),
    "webhooks": webhooks.figures,
    "regions": regions.measure,
    # An outage and its end take eight minutes: one round, unless that part alone is asked for.
    "alerting": lambda runs: alerting.figures([alerting.outage() for _ in range(runs)]),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="rounds of everything (default 3)")
    parser.add_argument("--only", choices=PARTS, help="one part; the other figures stay as they were")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results.json")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs takes 1 or more")
    if options.only in (None, "regions") and (alive := regions.running_regions()):
        print(
            f"bench: {', '.join(alive)} running, and a benchmark purges their data; first: vitalops regions stop",
            file=sys.stderr,
        )
        return 2
    figures: list[Figure] = []
    try:
        for name, measure in PARTS.items():
            if options.only not in (None, name):
                continue
            print(f"measuring {name}", file=sys.stderr)
            figures.extend(measure(1 if name == "alerting" and not options.only else options.runs))
    except CommandFailed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 3
    write(options.out, figures, keep=options.only is not None)
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        entry = figure.record()
        print(
            f"{figure.name:{width}} {entry['minimum']:>8} {entry['median']:>8} {entry['maximum']:>8} {figure.unit:4}"
            f" limit {figure.limit:g} {'holds' if figure.holds else 'MISSED'}"
        )
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
