"""The windows over which burn of error budgets is looked for: read from `windows.toml`, and checked.

Burn rates are for a budget of 30 days: Google SRE Workbook, "Alerting on SLOs", table 5-8. For another length of the
budget's window the share of the budget stays and the rate follows: burn = budget_spent * budget's window / long.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vitalops.conventions import SEVERITY_PAGE, SEVERITY_TICKET
from vitalops.errors import UsageError
from vitalops.slo.promql import seconds_of

FILE = Path(__file__).parent / "windows.toml"
DAY = 86400
MINUTE = 60
"""Seconds between two sums of the base that long windows are added up from."""
BASE = "1m"


@dataclass(frozen=True, slots=True)
class Settling:
    """When burn in a longer window counts as over, judged by what happens now."""

    significance: float
    """Most often, as a share, that so few failures are chance while burn goes on at its limit."""
    spread: int
    """Of the last slots of the shortest window's length: in fewer, failures were one incident and not slow burn."""


@dataclass(frozen=True, slots=True)
class Window:
    """A pair of windows, and when burn in both is an alert. Lengths in seconds and as Prometheus writes them."""

    severity: str
    long_name: str
    long: int
    short_name: str
    short: int
    budget_spent: Fraction
    """Share of the budget that burn at the limit spends in the long window."""
    minimum_failures: int
    significance: float
    with_scrape: bool
    """Evaluated with every scrape; otherwise each minute."""
    settles: Settling | None = None
    """How it ends early; absent: when the short window has forgotten."""

    def burn(self, window_days: int) -> float:
        """The burn rate at the limit, for a budget of so many days. At least 1: slower burn leaves some budget."""
        return max(1.0, float(self.budget_spent * window_days * DAY / self.long))


@dataclass(frozen=True, slots=True)
class Windows:
    """All of them: by severity, the shortest first."""

    all: tuple[Window, ...]

    def of(self, severity: str) -> tuple[Window, ...]:
        return tuple(window for window in self.all if window.severity == severity)

    @property
    def longest(self) -> Window:
        return max(self.all, key=lambda window: window.long)

    @property
    def recent(self) -> Window:
        """The one with the shortest short window: what happens now."""
        return min(self.all, key=lambda window: window.short)

    def names(self, *, with_scrape: bool) -> tuple[tuple[str, int], ...]:
        """Name and seconds of each window that is recorded with every scrape, or each minute; shortest first."""
        found = {
            name: length
            for window in self.all
            if window.with_scrape is with_scrape
            for name, length in ((window.short_name, window.short), (window.long_name, window.long))
        }
        return tuple(sorted(found.items(), key=lambda each: each[1]))


class _Settled(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    significance: Annotated[float, Field(gt=0, lt=0.5)]
    spread: Annotated[int, Field(ge=1, le=100)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    severity: Literal["page", "ticket"]
    long: str
    short: str
    budget_spent: Annotated[float, Field(gt=0, le=1)]
    minimum_failures: Annotated[int, Field(ge=1, le=1000)]
    significance: Annotated[float, Field(gt=0, lt=0.5)]
    evaluated: Literal["scrape", "1m"]
    settled: _Settled | None = None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    window: Annotated[list[_Entry], Field(min_length=1)]


@lru_cache(maxsize=1)
def bundled_windows() -> Windows:
    """Those of `windows.toml`. Raises UsageError where the file cannot be used."""
    return read_windows(FILE)


def read_windows(file: Path) -> Windows:
    """The windows in `file`.

    Raises UsageError, naming the window, where one is not sound in itself or two contradict one another.
    """
    try:
        entries = _File.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))).window
        windows = tuple(_window(entry) for entry in entries)
    except (OSError, tomllib.TOMLDecodeError, ValidationError, ValueError) as error:
        said = str(error).splitlines()
        raise UsageError(f"{file}: {' '.join(each.strip() for each in said[:3])}") from None
    for problem in _problems(windows):
        raise UsageError(f"{file}: {problem}")
    order = (SEVERITY_PAGE, SEVERITY_TICKET)
    return Windows(tuple(sorted(windows, key=lambda each: (order.index(each.severity), each.long))))


def _window(entry: _Entry) -> Window:
    return Window(
        severity=entry.severity,
        long_name=entry.long,
        long=seconds_of(entry.long),
        short_name=entry.short,
        short=seconds_of(entry.short),
        budget_spent=Fraction(repr(entry.budget_spent)),
        minimum_failures=entry.minimum_failures,
        significance=entry.significance,
        with_scrape=entry.evaluated == "scrape",
        settles=entry.settled and Settling(entry.settled.significance, entry.settled.spread),
    )


def _problems(windows: tuple[Window, ...]) -> list[str]:
    problems: list[str] = []
    for each in windows:
        if each.short >= each.long:
            problems.append(f"window {each.long_name}: its short window {each.short_name} is not shorter")
        if each.short % MINUTE or each.long % MINUTE:
            problems.append(f"window {each.long_name}: windows must be of whole minutes")
        if each.with_scrape and each.long < 2 * each.short:
            problems.append(
                f"window {each.long_name}: must be at least twice its short window {each.short_name}"
            )
    ordered = sorted(windows, key=lambda each: each.long)
    for shorter, longer in pairwise(ordered):
        if shorter.long == longer.long:
            problems.append(f"window {longer.long_name} is there twice")
        elif shorter.short >= longer.short:
            problems.append(
                f"window {longer.long_name}: its short window must be longer than {shorter.short_name}"
            )
        elif shorter.budget_spent / shorter.long <= longer.budget_spent / longer.long:
            problems.append(
                f"window {longer.long_name}: its burn rate must be below that of {shorter.long_name}"
            )
        elif shorter.severity == SEVERITY_TICKET and longer.severity == SEVERITY_PAGE:
            problems.append(f"window {longer.long_name}: slower burn than a ticket's cannot be a page")
        elif longer.with_scrape and not shorter.with_scrape:
            problems.append(
                f"window {longer.long_name}: cannot be evaluated more often than {shorter.long_name}"
            )
    scraped = [each for each in windows if each.with_scrape]
    if len(scraped) != 1:
        problems.append("exactly one window must be evaluated with every scrape")
    return problems
