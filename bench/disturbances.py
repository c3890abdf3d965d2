"""python -m bench.disturbances: short faults around a region that is not lost, the witness free to act: it must not.

Every disturbance is shorter than the pair's failover.detection_seconds and heals before the next. A ledger is written
all the while: nothing that was acknowledged may be missing afterwards.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from bench.measure import CommandFailed, Figure, write
from bench.trials import ROOT, Trial, asked, end_cleanly, until
from infra.local.regions.faults import Flow, between, clear, cut, kill, members, stopped, to_machine
from vitalops import conventions as c
from vitalops.model.addresses import witness_of

HEAL_SECONDS = 60.0
API_PORT = 6443
SHORTEST = 0.5
SHARE = 0.9
"""Of the detection limit: what a fault lasts at the most, since to begin and end it takes a moment too."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    name: str
    fault: Callable[[], AbstractContextManager[object]]


def disturbances(trial: Trial, active: str) -> tuple[Disturbance, ...]:
    """Every kind, around the active region."""
    here, there = trial.region(active), trial.region(trial.other(active))
    witness = witness_of(trial.platform, trial.pair)
    heard = (c.NODE_PORT_GUARD, API_PORT, witness.port if witness else c.NODE_PORT_GUARD)
    edge = (c.NODE_PORT_GATEWAY,)

    def flows(*chosen: Flow) -> Callable[[], AbstractContextManager[object]]:
        return lambda: cut(*chosen)

    def paused(*names: str) -> Callable[[], AbstractContextManager[object]]:
        return lambda: stopped(members(here, names))

    @contextmanager
    def killed() -> Iterator[None]:
        kill(members(here, ("haproxy",)))
        yield

    @contextmanager
    def witness_paused() -> Iterator[None]:
        with stopped([int(trial.witness()["process"])]):
            yield

    return (
        Disturbance("the regions do not reach one another", flows(between(here, there))),
        Disturbance("the edge does not reach the active region", flows(to_machine(here, edge))),
        Disturbance("the witness does not reach the active region", flows(to_machine(here, heard))),
        Disturbance("the witness does not reach the other region", flows(to_machine(there, heard))),
        Disturbance("nobody on this machine reaches the active region", flows(to_machine(here))),
        Disturbance("nobody at all reaches the active region", flows(to_machine(here), between(here, there))),
        Disturbance(
            "the witness reaches neither region", flows(to_machine(here, heard), to_machine(there, heard))
        ),
        Disturbance(
            "half of all packets of the active region are lost",
            flows(to_machine(here, lost=50), between(here, there, lost=50)),
        ),
        Disturbance("one packet in five between the regions is lost", flows(between(here, there, lost=20))),
        Disturbance("the gateway is killed", killed),
        Disturbance("the gateway stands still", paused("haproxy")),
        Disturbance("the API server stands still", paused("kube-apiserver")),
        Disturbance("the database stands still", paused("postgres")),
        Disturbance("everything in the active region stands still", paused()),
        Disturbance("the witness stands still", witness_paused),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of all disturbances together."""

    count: int
    failovers: int
    losses_observed: int
    acknowledged: int
    lost: int
    duplicated: int
    longest_pause: float


def failovers_of(trial: Trial) -> int:
    listed = asked("runbook", "history", "--runbook", "region-failover", "--limit", "10000")
    return sum(f"pair/{trial.pair.name}" in run["targets"] for run in listed)


def disturb(trial: Trial, count: int, seed: int) -> Outcome:
    """Raises CommandFailed where the pair does not get well in between."""
    chance = random.Random(seed)  # noqa: S311  # which fault comes next is no secret
    longest = trial.pair.failover.detection_seconds * SHARE
    before, told = failovers_of(trial), observed(trial)
    with trial.watched("automatic"), trial.written(visitors=0) as ledger:
        active = trial.active
        kinds = disturbances(trial, active)
        for turn in range(count):
            kind = kinds[turn % len(kinds)]
            seconds = chance.uniform(SHORTEST, longest)
            with ExitStack() as stack:
                stack.enter_context(kind.fault())
                time.sleep(seconds)
            until(
                lambda: trial.witness()["state"] == "healthy" or None,
                HEAL_SECONDS,
                f"well again after: {kind.name}",
            )
            if trial.active != active:
                raise CommandFailed(f"{trial.active} is active after {seconds:.1f} s of: {kind.name}")
            print(f"{turn + 1} of {count}: {kind.name}, {seconds:.1f} s", file=sys.stderr, flush=True)
        time.sleep(2)
    comparison = ledger.check()["comparison"]
    times = sorted(each.ended for each in ledger.contents().entries)
    pauses = [late - early for early, late in pairwise(times)]
    return Outcome(
        count=count,
        failovers=failovers_of(trial) - before,
        losses_observed=observed(trial) - told,
        acknowledged=comparison["acknowledged"],
        lost=len(comparison["lost"]),
        duplicated=len(comparison["duplicated"]),
        longest_pause=max(pauses, default=0.0),
    )


def observed(trial: Trial) -> int:
    """Losses that the witness has recorded."""
    path = trial.paths.journal(trial.platform.name)
    lines = path.read_text().splitlines() if path.exists() else []
    return sum(f'"loss-{trial.pair.name}-' in line and '"kind":"observed"' in line for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.disturbances", description=__doc__)
    parser.add_argument(
        "--pair", help="pair of local regions; the one that starts by default where not given"
    )
    parser.add_argument("--count", type=int, default=50, help="disturbances (default 50)")
    parser.add_argument("--seed", type=int, default=1, help="of their lengths (default 1)")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results.json")
    options = parser.parse_args()
    trial = Trial.of(options.pair)
    clear()
    end_cleanly()
    try:
        outcome = disturb(trial, options.count, options.seed)
    except CommandFailed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 3
    figures = (
        Figure("false failovers in 50 short disturbances", "", 0, (float(outcome.failovers),)),
        Figure("acknowledged writes lost by them", "", 0, (float(outcome.lost),)),
    )
    if options.count >= 50:
        write(options.out, figures, keep=True)
    print(json.dumps(asdict(outcome)))
    return 0 if not outcome.failovers and not outcome.lost and not outcome.losses_observed else 1


if __name__ == "__main__":
    sys.exit(main())
