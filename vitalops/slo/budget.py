"""Error budgets from counts of events: what was promised, what was kept, what may still go wrong.

Pure. Formulas are those of Google's SRE Workbook (chapters 2, "Implementing SLOs", and 5, "Alerting on SLOs"), counted
in events: a budget is a share of the events that were served, so the regions of a pair are joined by adding their
events up, and a region that serves ten times as many weighs ten times as much.

A number is only given where it was measured. What was not is None, and `state` says by name why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from typing import Final

from vitalops.conventions import TRAFFIC_SYNTHETIC
from vitalops.slo.objectives import Slo

NOTHING_LEFT: Final = 1e-9
"""A budget of which less than this share is left is spent: 1 - 0.999 is not exactly a thousandth in binary."""


class State(StrEnum):
    """How an objective fares. The first four were measured; the others say why it could not be."""

    OK = "ok"
    BURNING = "burning"
    """Spent faster than the window gives it back (burn rate above 1), and not yet gone."""
    EXHAUSTED = "exhausted"
    NO_TRAFFIC = "no-traffic"
    """The series are there, and nothing happened in the whole window."""
    FROZEN = "frozen"
    """There was data in the window, and the series are missing now: numbers are those of before."""
    STALE = "stale"
    """The newest data is too old to speak of now."""
    ABSENT = "absent"
    """No series in the whole window."""
    UNREACHABLE = "unreachable"
    """Nobody answered."""


UNMEASURED: Final = frozenset({State.FROZEN, State.STALE, State.ABSENT, State.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Counts:
    """Events of a span of time, and those of them that were bad."""

    events: float
    bad: float

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.events + other.events, self.bad + other.bad)

    @property
    def ratio(self) -> float | None:
        """Share of bad events, 0 to 1; None without events: no ratio was measured.

        Kept between its bounds, since counters that are read at slightly different times may say -0.1 or 10.1 of 10.
        """
        if self.events <= 0:
            return None
        return min(max(self.bad / self.events, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class RegionMeasure:
    """What one region says of one objective.

    `buckets` split the window into equal parts, oldest first; None is a part without data. `hour` and `six_hours` are
    None where there is nothing of now. `covered` is the share of the window with data. `trouble` is one of UNMEASURED.
    """

    region: str
    buckets: tuple[Counts | None, ...] = ()
    hour: Counts | None = None
    six_hours: Counts | None = None
    covered: float = 0.0
    newest: datetime | None = None
    trouble: State | None = None

    @property
    def has_data(self) -> bool:
        return any(bucket is not None for bucket in self.buckets)


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """One objective over its window, in one region or joined over a pair's.

    Shares are of 1, times are seconds. `missing` says of each region that is not (or not up to now) in the numbers why.
    """

    scope: str
    """A region or a pair."""
    slo: str
    service: str
    sli: str
    objective: float
    window_days: float
    state: State
    regions: tuple[str, ...]
    missing: dict[str, State]
    partial: bool
    """Whether a region's data is not in the numbers, and another's is."""
    events: float | None
    bad: float | None
    attained: float | None
    budget_left: float | None
    burn_1h: float | None
    burn_6h: float | None
    exhausted_in: float | None
    covered: float
    newest: datetime | None
    history: tuple[float | None, ...]
    """Share of the window's budget that was left at the end of each of its parts; None before there was data."""


def budget_left(counts: Counts, budget: float) -> float | None:
    """Share of the allowed bad events that is not spent: 1 - (bad / events) / (1 - objective). Negative when overspent.

    None without events. Source: SRE Workbook, chapter 2 ("error budget").
    """
    ratio = counts.ratio
    return None if ratio is None else 1.0 - ratio / budget


def burn_rate(counts: Counts | None, budget: float) -> float | None:
    """How fast the budget is spent: the share of bad events over the share that may be bad. 1 spends it in one window.

    None without events. Source: SRE Workbook, chapter 5 ("burn rate is how fast, relative to the SLO, the service
    consumes the error budget").
    """
    if counts is None or counts.ratio is None:
        return None
    return counts.ratio / budget


def exhausted_in(left: float | None, burn: float | None, measured: timedelta) -> float | None:
    """Seconds until a budget is spent, when events go on failing at this rate; 0 where it is spent.

    A burn rate b spends the budget of a window in window / b (SRE Workbook, table 5-4), hence what is left of it in
    left x window / b. `measured` is the part of the window with data: a young history has given out that much budget.
    None where nothing is known, and at burn rates up to 1, which a rolling window outlasts.
    """
    if left is None:
        return None
    if left <= NOTHING_LEFT:
        return 0.0
    if burn is None or burn <= 1.0:
        return None
    return left * measured.total_seconds() / burn


def status_of(slo: Slo, scope: str, measures: Sequence[RegionMeasure], window: timedelta) -> BudgetStatus:
    """One objective's status, from what each region of `scope` says of it, weighted by their traffic."""
    counted = [measure for measure in measures if measure.has_data]
    current = [measure for measure in counted if measure.trouble is None]
    buckets = _joined(counted)
    total = _sum([bucket for bucket in buckets if bucket is not None])
    left = budget_left(total, slo.budget) if total else None
    burn_1h = burn_rate(_sum([each.hour for each in current if each.hour]), slo.budget)
    burn_6h = burn_rate(_sum([each.six_hours for each in current if each.six_hours]), slo.budget)
    burn = burn_6h if burn_1h is None else burn_1h
    missing = _missing(slo, measures, current)
    covered = max((measure.covered for measure in counted), default=0.0)
    return BudgetStatus(
        scope=scope,
        slo=slo.id,
        service=slo.service,
        sli=slo.sli_name,
        objective=slo.objective,
        window_days=window / timedelta(days=1),
        state=_state(measures, counted, current, left, burn),
        regions=tuple(measure.region for measure in measures),
        missing=missing,
        partial=0 < len(missing) < len(measures),
        events=total.events if total else None,
        bad=total.bad if total else None,
        attained=None if total is None or total.ratio is None else 1.0 - total.ratio,
        budget_left=left,
        burn_1h=burn_1h,
        burn_6h=burn_6h,
        exhausted_in=exhausted_in(left, burn, window * covered),
        covered=covered,
        newest=max((each.newest for each in counted if each.newest), default=None),
        history=burn_down(buckets, slo.budget),
    )


def burn_down(buckets: Sequence[Counts | None], budget: float) -> tuple[float | None, ...]:
    """Share of the whole window's budget that was left at the end of each bucket; the last is what is left now.

    The budget is that of all the window's events, so the line only ever falls, and falls where it was spent.
    """
    total = _sum([bucket for bucket in buckets if bucket is not None])
    if total is None or total.events <= 0:
        return (None,) * len(buckets)
    spent = accumulate(bucket.bad if bucket else 0.0 for bucket in buckets)
    first = next(place for place, bucket in enumerate(buckets) if bucket is not None)
    allowed = total.events * budget
    return tuple(None if place < first else 1.0 - bad / allowed for place, bad in enumerate(spent))


def _missing(
    slo: Slo, measures: Sequence[RegionMeasure], current: Sequence[RegionMeasure]
) -> dict[str, State]:
    """What is not in the numbers, and why.

    The prober walks where a pair is active, and nowhere else: of its own objectives, the other region has nothing.
    """
    elsewhere = (
        {State.ABSENT, State.FROZEN} if slo.sli.traffic == TRAFFIC_SYNTHETIC and current else set[State]()
    )
    return {
        measure.region: measure.trouble
        for measure in measures
        if measure.trouble is not None and measure.trouble not in elsewhere
    }


def _state(
    measures: Sequence[RegionMeasure],
    counted: Sequence[RegionMeasure],
    current: Sequence[RegionMeasure],
    left: float | None,
    burn: float | None,
) -> State:
    if left is not None and left <= NOTHING_LEFT:
        return State.EXHAUSTED
    if not counted:
        troubles = {measure.trouble for measure in measures}
        # Nobody answering says less than somebody answering that there is nothing.
        return State.UNREACHABLE if troubles == {State.UNREACHABLE} else State.ABSENT
    if not current:
        return State.STALE if any(each.trouble is State.STALE for each in counted) else State.FROZEN
    if burn is not None and burn > 1.0:
        return State.BURNING
    return State.NO_TRAFFIC if left is None else State.OK


def _joined(measures: Sequence[RegionMeasure]) -> tuple[Counts | None, ...]:
    """Bucket by bucket, what the regions counted together."""
    length = max((len(measure.buckets) for measure in measures), default=0)
    return tuple(
        _sum(
            [
                bucket
                for measure in measures
                if place < len(measure.buckets) and (bucket := measure.buckets[place]) is not None
            ]
        )
        for place in range(length)
    )


def _sum(counts: Sequence[Counts]) -> Counts | None:
    return sum(counts[1:], counts[0]) if counts else None


def worst_first(status: BudgetStatus) -> tuple[int, float, str, str]:
    """Sort key: spent, burning, not measured, the rest by what is left, and last what has no traffic."""
    order = {State.EXHAUSTED: 0, State.BURNING: 1, State.OK: 3, State.NO_TRAFFIC: 4}
    left = 1.0 if status.budget_left is None else status.budget_left
    return order.get(status.state, 2), left, status.slo, status.scope
