"""python -m bench.failover: losses of the primary region under a writing client, and planned switchovers.

Nobody has a hand in a loss: every process of the active region is killed at once, the witness must notice, and the
runbook fail over. Then the region is started again and leads back by region-failback. Needs a running platform, whose
data stays.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from bench.measure import CommandFailed, Figure, write
from bench.trials import ROOT, Trial, end_cleanly, until, vitalops
from infra.local.regions.faults import clear, power_cut

T = TypeVar("T", "Loss", "Switch")
BACK_SECONDS = 120.0
SETTLE_SECONDS = 5.0
AFTER_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Loss:
    """One unplanned loss. Seconds after it."""

    first_write: float
    first_consultation: float
    detection: float
    promotion: float
    traffic: float
    acknowledged: int
    lost: int
    duplicated: int
    out_of_order: int
    failback_seconds: float
    run: str


@dataclass(frozen=True, slots=True)
class Switch:
    """One planned switchover."""

    write_pause: float
    acknowledged: int
    lost: int
    duplicated: int
    calls: int
    calls_cut: int
    run: str


def lose(trial: Trial) -> Loss:
    """Raises CommandFailed where service does not come back in time."""
    active = trial.active
    with trial.written() as ledger:
        until(
            lambda: any(v.passed for v in ledger.contents().visits) or None, 120, "a consultation before it"
        )
        time.sleep(SETTLE_SECONDS)
        lost_at = power_cut(trial.region(active))
        wrote = ledger.until(
            lambda _: ledger.first_write_after(lost_at, trial.other(active)),
            BACK_SECONDS,
            "a write is acknowledged after the loss",
        )
        met = ledger.until(
            lambda _: ledger.first_visit_after(lost_at), BACK_SECONDS, "a consultation after the loss"
        )
        time.sleep(AFTER_SECONDS)
    restart(trial, active)
    trial.until_quiet()
    report = trial.report(ledger.name, loss_at=lost_at)
    took = {each["name"]: float(each["seconds"]) for each in report["milestones"]}
    began = time.monotonic()
    lead_back(trial)
    return Loss(
        first_write=wrote - lost_at,
        first_consultation=met - lost_at,
        detection=took.get("detection", float("nan")),
        promotion=took.get("promotion", float("nan")),
        traffic=took.get("traffic", float("nan")),
        acknowledged=report["acknowledged"],
        lost=report["lost"],
        duplicated=report["duplicated"],
        out_of_order=report["out_of_order"],
        failback_seconds=time.monotonic() - began,
        run=report["run"],
    )


def restart(trial: Trial, region: str) -> None:
    """Start the region that was lost again."""
    vitalops("--yes", "regions", "stop", region)
    vitalops("--yes", "regions", "start", region)


def lead_back(trial: Trial) -> None:
    """The pair's primary is the active region again, and both regions are there."""
    until(lambda: _rejoined(trial), 300, "both regions answer", pause=2)
    if trial.active != trial.pair.primary:
        trial.operate("region-failback", "--pair", trial.pair.name)
    until(lambda: trial.witness()["state"] == "healthy" or None, 120, "everybody reaches the active region")


def _rejoined(trial: Trial) -> bool | None:
    """Whether both regions' guards answer."""
    status = json.loads(vitalops("--output", "json", "status", trial.pair.name, expected=(0, 1, 3)))
    return all(region["reachable"] for region in status["regions"]) or None


def switch(trial: Trial) -> Switch:
    """To the other region, with the ledger's consultations as the calls that must not be cut."""
    target = trial.other(trial.active)
    with trial.written(visitors=3) as ledger:
        until(
            lambda: any(v.passed for v in ledger.contents().visits) or None, 120, "a consultation before it"
        )
        began = time.time()
        run = trial.operate("region-failover", "--to", target, "--planned")
        ended = time.time()
        time.sleep(AFTER_SECONDS)
    report = trial.report(ledger.name, run=run)
    visits = [each for each in ledger.contents().visits if each.started <= ended and each.ended >= began]
    return Switch(
        write_pause=float(report["write_pause"]),
        acknowledged=report["acknowledged"],
        lost=report["lost"],
        duplicated=report["duplicated"],
        calls=len(visits),
        calls_cut=sum(not each.passed for each in visits),
        run=run,
    )


def losses(trial: Trial, runs: int) -> tuple[Figure, ...]:
    with trial.watched("automatic"):
        made = [_told(lambda: lose(trial), f"loss {turn + 1} of {runs}") for turn in range(runs)]
    return (
        Figure("loss to first acknowledged write", "s", 12, tuple(each.first_write for each in made)),
        Figure("loss to first good consultation", "s", 20, tuple(each.first_consultation for each in made)),
        Figure("loss to its detection", "s", 6, tuple(each.detection for each in made)),
        Figure("acknowledged writes lost by a loss", "", 0, tuple(float(each.lost) for each in made)),
        Figure("writes doubled by a loss", "", 0, tuple(float(each.duplicated) for each in made)),
    )


def switches(trial: Trial, runs: int) -> tuple[Figure, ...]:
    """An even number: the pair ends where it began."""
    with trial.watched("approval"):
        made = [
            _told(lambda: switch(trial), f"switchover {turn + 1} of {runs}")
            for turn in range(runs + runs % 2)
        ]
    return (
        Figure("switchover: write pause", "s", 3, tuple(each.write_pause for each in made)),
        Figure("switchover: acknowledged writes lost", "", 0, tuple(float(each.lost) for each in made)),
        Figure("switchover: calls cut", "", 0, tuple(float(each.calls_cut) for each in made)),
    )


def _told(turn: Callable[[], T], what: str) -> T:
    """The turn's result, said as it comes: a bench of an hour must not be silent."""
    made = turn()
    print(f"{what}: {json.dumps(asdict(made))}", file=sys.stderr, flush=True)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description=__doc__)
    parser.add_argument(
        "--pair", help="pair of local regions; the one that starts by default where not given"
    )
    parser.add_argument("--losses", type=int, default=10, help="unplanned losses (default 10)")
    parser.add_argument("--switchovers", type=int, default=4, help="planned switchovers (default 4)")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results.json")
    options = parser.parse_args()
    trial = Trial.of(options.pair)
    clear()
    end_cleanly()
    figures: list[Figure] = []
    try:
        if options.losses:
            figures += losses(trial, options.losses)
        if options.switchovers:
            figures += switches(trial, options.switchovers)
    except CommandFailed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 3
    write(options.out, figures, keep=True)
    for figure in figures:
        print(json.dumps(figure.record()))
    return 0 if all(max(figure.runs) <= figure.limit for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
