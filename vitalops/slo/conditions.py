"""When burn is an alert: each condition once, as PromQL for Prometheus and as Python for whoever reasons about it.

A condition looks at counts of events and failures over windows. It is monotonic: with as many events, more failures
never make it false.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from vitalops.conventions import METRIC_SLO, METRIC_TRAFFIC, RECORD_BAD, RECORD_EVENTS, RECORD_RATIO
from vitalops.slo.binomial import fewest_events, most_events
from vitalops.slo.budget import Counts
from vitalops.slo.objectives import Slo
from vitalops.slo.promql import duration, number, selector
from vitalops.slo.windows import Settling, Window, Windows

MOST_TESTED = 10
"""Failures up to which the exact test decides. With more, the observed ratio alone is a fair estimate (its relative
standard error is below a third), and waiting for significance would only delay the alert."""
FEWEST_TESTED = 5
"""Failures up to which the exact test decides that burn is over."""
HALF = 0.5
"""Counts come from `increase()`, which extrapolates: k failures are more than k - HALF."""


def budget_of(slo: Slo) -> float:
    """Share of events that may be bad, free of the noise of 1 - objective."""
    return float(1 - Decimal(repr(slo.objective)))


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known at one moment: counts by window name, and in how many of the latest slots anything failed."""

    windows: Mapping[str, Counts]
    slots_with_failures: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Enough failures to be more than chance: an exact binomial test as a step function of the number of events."""

    least: int
    steps: tuple[int, ...]
    """`steps[i]` is the largest number of events among which `least + i` failures are significant."""

    @staticmethod
    def of(least: int, probability: float, significance: float) -> Evidence:
        return Evidence(
            least,
            tuple(most_events(k, probability, significance) for k in range(least, MOST_TESTED)),
        )

    def needed(self, events: float) -> int:
        """Failures needed among so many events."""
        return self.least + sum(events > step for step in self.steps)

    def holds(self, seen: Counts) -> bool:
        return seen.bad > self.needed(seen.events) - HALF

    def promql(self, events: str, bad: str) -> str:
        steps = "".join(f" + ({events} > bool {step})" for step in self.steps)
        return f"{bad} > {number(self.least - HALF)}{steps}"


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Burn that has not evidently ended: too many failures in the last minutes, or spread too evenly before.

    So an outage that is over ends its page with the shortest short window (5 min), though half an hour still remembers
    it. Two things it cannot know: below some 2.6 requests a second (at 99.9 %) 5 minutes without a failure may be
    chance, so that after an outage of a quarter of an hour or more the page ends when most of it has left the longer
    short window; and failures that come in bursts, each several minutes after the last, end and begin the page anew.
    """

    slot: str
    """Name of the window that is now."""
    slot_seconds: int
    slots_seconds: int
    steps: tuple[int, ...]
    """`steps[k]` is the fewest events among which k failures are significantly few."""
    slope: float
    """Failures allowed for each event beyond the last step: less than an exact test would allow."""
    spread: int

    @staticmethod
    def of(settling: Settling, probability: float, window: Window, now: Window) -> Unsettled:
        steps = tuple(fewest_events(k, probability, settling.significance) for k in range(FEWEST_TESTED + 1))
        return Unsettled(
            slot=now.short_name,
            slot_seconds=now.short,
            slots_seconds=window.short,
            steps=steps,
            slope=FEWEST_TESTED / steps[-1],
            spread=settling.spread,
        )

    def holds(self, seen: Seen) -> bool:
        now = seen.windows[self.slot]
        few = sum(now.events > step - HALF for step in self.steps)
        few += max(now.events - self.steps[-1], 0) * self.slope
        return now.bad > few - HALF and (now.bad > HALF or seen.slots_with_failures >= self.spread)

    def promql(self, labels: Mapping[str, str]) -> str:
        events, bad = selector(RECORD_EVENTS + self.slot, labels), selector(RECORD_BAD + self.slot, labels)
        few = " + ".join(f"({events} > bool {number(step - HALF)})" for step in self.steps)
        few += f" + clamp_min({events} - {self.steps[-1]}, 0) * {number(round(self.slope, 9))}"
        # One less than a slot, so that both ends are never counted.
        reach = f"{duration(self.slots_seconds - 60)}:{duration(self.slot_seconds)}"
        return (
            f"{bad} > {few} - {HALF}\n"
            f"and ({bad} > {HALF} or count_over_time(({bad} > {HALF})[{reach}]) >= {self.spread})"
        )


@dataclass(frozen=True, slots=True)
class Burn:
    """Burn above a limit in both of a pair of windows, by enough failures."""

    window: Window
    rate: float
    """The limit, in multiples of the rate that spends exactly the budget."""
    budget: float
    minimum: int
    """Fewest failures in the short window."""
    evidence: Evidence
    """In the long window."""
    unsettled: Unsettled | None

    def holds(self, seen: Seen) -> bool:
        long, short = seen.windows[self.window.long_name], seen.windows[self.window.short_name]
        return (
            self._burns(long)
            and self._burns(short)
            and short.bad > self.minimum - HALF
            and self.evidence.holds(long)
            and (self.unsettled is None or self.unsettled.holds(seen))
        )

    def _burns(self, counts: Counts) -> bool:
        return counts.ratio is not None and counts.ratio / self.budget > self.rate

    def promql(self, labels: Mapping[str, str]) -> str:
        """An expression whose value is the long window's burn rate, and which is empty where it does not hold."""
        long, short = self.window.long_name, self.window.short_name
        budget, rate = number(self.budget), number(self.rate)
        parts = [
            f"{selector(RECORD_RATIO + long, labels)} / {budget} > {rate}",
            f"{selector(RECORD_RATIO + short, labels)} / {budget} > {rate}",
            f"{selector(RECORD_BAD + short, labels)} > {number(self.minimum - HALF)}",
            self.evidence.promql(selector(RECORD_EVENTS + long, labels), selector(RECORD_BAD + long, labels)),
        ]
        if self.unsettled is not None:
            parts.append(self.unsettled.promql(labels))
        return "\nand ".join(parts)


def conditions_of(slo: Slo, windows: Windows, severity: str) -> tuple[Burn, ...]:
    """The conditions of which any one is an alert of that severity; none where the objective cannot burn so fast."""
    if severity == "page" and not slo.pages:
        return ()
    budget = budget_of(slo)
    found: list[Burn] = []
    for window in windows.of(severity):
        rate = window.burn(slo.window_days)
        limit = rate * budget
        if limit >= 1 or window.long > slo.window_days * 86400:
            continue
        minimum = slo.sli.minimum_failures or window.minimum_failures
        found.append(
            Burn(
                window=window,
                rate=rate,
                budget=budget,
                minimum=minimum,
                evidence=Evidence.of(minimum, limit, window.significance),
                unsettled=window.settles and Unsettled.of(window.settles, limit, window, windows.recent),
            )
        )
    return tuple(found)


def labels_of(slo: Slo) -> dict[str, str]:
    """What selects the recorded series that count towards an objective."""
    return {METRIC_SLO: slo.id, METRIC_TRAFFIC: slo.sli.traffic}
