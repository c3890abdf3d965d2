"""python -m bench.compiling [--runs N]: rules and dashboards of 50 regions x 200 services x 400 objectives."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Figure, repeated
from dashboards.compile import compile_dashboards
from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform
from vitalops.slo.objectives import objectives_of
from vitalops.slo.rules import Compiler

ROOT = Path(__file__).resolve().parent.parent
REGIONS, SERVICES, OBJECTIVES = 50, 200, 400
LIMIT_SECONDS = 10


def large_platform(regions: int = REGIONS, services: int = SERVICES) -> Platform:
    """The bundled platform's first region and a plain service of it, as often as asked for.

    Each service has two objectives that no other has, so that no work on numbers is shared.
    """
    bundled = load_platform(ROOT / "platform.yaml", datetime.now(UTC).date())
    region, pair, model = bundled.regions["fr-par"], bundled.pairs["france"], bundled.services["records"]
    names = [f"region-{number:02}" for number in range(regions)]
    plain = model.model_copy(update={"depends_on": ()})
    copies = [
        plain.model_copy(
            update={
                "name": f"service-{number:03}",
                "objectives": {"answered": 0.999 + number / 1_000_000, "prompt": 0.99 + number / 100_000},
            }
        )
        for number in range(services)
    ]
    pairs = [
        pair.model_copy(update={"name": f"pair-{number:02}", "primary": primary, "standby": standby})
        for number, (primary, standby) in enumerate(zip(names[::2], names[1::2], strict=True))
    ]
    return bundled.model_copy(
        update={
            "regions": {name: region.model_copy(update={"name": name}) for name in names},
            "pairs": {each.name: each for each in pairs},
            "services": {each.name: each for each in copies},
        }
    )


def compile_everything(platform: Platform) -> tuple[float, float]:
    """Seconds that the rules of all regions take, and the dashboards."""
    began = time.perf_counter()
    compiler = Compiler(platform)
    for region in platform.regions:
        if len(compiler.region(region)) <= len(platform.services):
            raise RuntimeError(f"{region} has fewer rule files than services")
    rules = time.perf_counter() - began
    compile_dashboards(platform)
    return rules, time.perf_counter() - began - rules


def measure(runs: int) -> Figure:
    platform = large_platform()
    if len(objectives_of(platform)) != OBJECTIVES:
        raise RuntimeError(f"{len(objectives_of(platform))} objectives instead of {OBJECTIVES}")
    taken = repeated(runs, lambda: sum(compile_everything(platform)))
    name = f"rules and dashboards of {REGIONS} regions x {SERVICES} services x {OBJECTIVES} SLOs"
    return Figure(name, "s", LIMIT_SECONDS, taken)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.compiling", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often everything is compiled (default 3)")
    figure = measure(max(parser.parse_args().runs, 1))
    print(figure.record())
    return 0 if figure.holds else 1


if __name__ == "__main__":
    sys.exit(main())
