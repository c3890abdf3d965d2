"""The ladder of calls: video, small pictures, voice alone, telephone. Pure: when to step, and which way.

    video --entry--> low --entry--> audio --entry--> callback
    video <--exit--- low <--exit--- audio <--exit--- callback

Entry: of the streams judged in the last five minutes, a quarter or more were bad. Exit: hardly any was, for as long as
the hold lasts. Between the two nothing happens (hysteresis), and after a step nothing happens until the window shows
only what came after it. A rung that had to be left again soon is tried again after twice the time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from runbooks.common.indicators import Reading
from vitalops.ports.media import CallMode

ENTRY_BAD: Final = 0.25
EXIT_BAD: Final = 0.05
FEWEST: Final = 8.0
"""Streams that must have been judged, so that one bad connection of one patient moves nobody."""
SETTLE_SECONDS: Final = 300.0
"""The window of the indicator: only then does it show the new rung alone."""
HOLD_SECONDS: Final = 600.0
LONGEST_HOLD_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Standing:
    """The rung, since when (seconds of any clock), and how long it is held before a better one is tried."""

    mode: CallMode
    since: float
    hold: float = HOLD_SECONDS
    climbed: bool = False
    """Whether the last step was upwards."""
    fresh: bool = False
    """Whether the rung was found rather than chosen: then what the window shows is of this rung already."""


def entry(reading: Reading) -> bool:
    """Whether calls are so bad that less should be asked of the network."""
    return reading.bad is not None and (reading.events or 0.0) >= FEWEST and reading.bad >= ENTRY_BAD


def good(reading: Reading) -> bool:
    """Whether nothing speaks against asking more: hardly a bad stream, or nobody in a call who could be hurt."""
    return not reading.events or (reading.bad is not None and reading.bad <= EXIT_BAD)


def next_standing(now: Standing, reading: Reading, at: float, good_since: float | None) -> Standing:
    """Where to stand from `at` on; the same where nothing is to be done.

    `good_since` is when `good` last began to hold; None where it does not hold now.
    """
    lasted = at - now.since
    if entry(reading) and now.mode is not CallMode.CALLBACK and (now.fresh or lasted >= SETTLE_SECONDS):
        hold = min(now.hold * 2, LONGEST_HOLD_SECONDS) if now.climbed else now.hold
        return Standing(now.mode.down(), at, hold)
    held = good_since is not None and at - max(good_since, now.since) >= now.hold
    if held and now.mode is not CallMode.VIDEO:
        return replace(now, mode=now.mode.up(), since=at, climbed=True, fresh=False)
    return now
