"""Error budgets in lines of text: shared by `vitalops slo status` and `vitalops watch`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cli.output import Colour
from vitalops.slo.budget import BudgetStatus, State

BAR_CELLS: Final = 10
_LEVELS: Final = "▁▂▃▄▅▆▇█"

STATE_COLOURS: Final[dict[State, Colour]] = {
    State.OK: "green",
    State.BURNING: "yellow",
    State.EXHAUSTED: "red",
    State.NO_TRAFFIC: "dim",
    State.FROZEN: "yellow",
    State.STALE: "yellow",
    State.ABSENT: "yellow",
    State.UNREACHABLE: "red",
}


def state_word(status: BudgetStatus) -> str:
    """The state as it must be read without colours; a star says that a region is not in the numbers."""
    word = status.state.upper() if status.state in (State.EXHAUSTED, State.BURNING) else status.state.value
    return f"{word}*" if status.partial else word


def percent(share: float | None, decimals: int = 0) -> str:
    """`share` of 1 as a percentage, rounded down: what is not quite all never reads as all."""
    if share is None:
        return "-"
    scale = 10**decimals
    # A billionth is added so that 0.29 is 29 %, though its nearest binary is below.
    floored = math.floor(share * 100 * scale + 1e-7) / scale
    return "100%" if share == 1 else f"{floored:.{decimals}f}%"


def objective(share: float) -> str:
    return f"{share * 100:.10g}%"


def attained(status: BudgetStatus) -> str:
    """Two more decimals than the objective has: the budget is spent in the last of them."""
    _, _, decimals = objective(status.objective).removesuffix("%").partition(".")
    return percent(status.attained, len(decimals) + 2)


def burn(rate: float | None) -> str:
    if rate is None:
        return "-"
    return f"{rate:.1f}" if rate < 100 else f"{rate:.0f}"


def bar(left: float | None, cells: int = BAR_CELLS) -> str:
    """What is left of a budget; any rest of it shows as one cell at least."""
    if left is None:
        return ""
    filled = min(max(math.ceil(left * cells - 1e-9), 0), cells)
    return "█" * filled + "░" * (cells - filled)


def sparkline(history: Sequence[float | None]) -> str:
    """The budget from the window's begin to now; blank where there was no data."""
    return "".join(
        " " if left is None else _LEVELS[min(max(math.ceil(left * len(_LEVELS)) - 1, 0), len(_LEVELS) - 1)]
        for left in history
    )


def duration(seconds: float | None) -> str:
    """The two largest units of a time: `3 d 4 h`, `53 min`."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h" if hours and days < 10 else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{whole} s"


def lasts(status: BudgetStatus) -> str:
    """How long the budget lasts at the current burn."""
    return "spent" if status.exhausted_in == 0 else duration(status.exhausted_in)


def moment(at: datetime | None) -> str:
    """A moment in UTC, as short as it is still clear."""
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"
