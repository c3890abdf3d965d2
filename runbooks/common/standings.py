"""A pair's two databases as they are just now, and who may write in it by their own word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from vitalops.errors import RemoteError
from vitalops.model.platform import FailoverPair
from vitalops.ports.database import DatabaseState, split_between
from vitalops.ports.running import RunningPlatform

T = TypeVar("T")
LOOK_SECONDS = 3.0
DOUBT_SECONDS = 1.0
"""For a region that is thought to be lost: waiting for it is time without service."""


@dataclass(frozen=True, slots=True)
class PairView:
    """`states` of the regions that were reached; `problems` says why the others were not."""

    pair: FailoverPair
    states: Mapping[str, DatabaseState]
    problems: Mapping[str, str]
    skew: Mapping[str, float]
    """Seconds by which a region's clock differs from this machine's, at the least."""

    @property
    def token(self) -> int:
        """The highest that any region knows; -1 where none was reached."""
        return max((state.standing.token for state in self.states.values() if state.standing), default=-1)

    @property
    def active(self) -> str:
        """The region that may write, by the newest standing; empty where no region was reached."""
        known = [state.standing for state in self.states.values() if state.standing]
        return max(known, key=lambda standing: standing.token).active if known else ""

    @property
    def split(self) -> str:
        """Why the pair must be touched by nobody; empty where all is well."""
        return split_between(self.states)


def look(running: RunningPlatform, pair: FailoverPair, doubted: str = "") -> PairView:
    """Both regions at once. What is not reached is part of the answer. `doubted` is given less time."""
    clock = running.clock
    states: dict[str, DatabaseState] = {}
    problems: dict[str, str] = {}
    skew: dict[str, float] = {}

    def one(region: str) -> None:
        before = clock.now().timestamp()
        try:
            state = running.database(region).state(DOUBT_SECONDS if region == doubted else LOOK_SECONDS)
        except RemoteError as error:
            problems[region] = error.message
            return
        after = clock.now().timestamp()
        states[region] = state
        skew[region] = round(max(before - state.clock, state.clock - after, 0.0), 3)

    at_once(lambda: one(pair.primary), lambda: one(pair.standby))
    return PairView(pair, states, problems, skew)


def at_once(*tasks: Callable[[], T]) -> list[T]:
    """The tasks side by side; the first that raises is raised, when all are over."""
    with ThreadPoolExecutor(max_workers=len(tasks)) as pool:
        futures = [pool.submit(task) for task in tasks]
    return [future.result() for future in futures]
