"""Error budgets: what is computed from counts, and what is said where nothing was counted."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitalops.model.slo import RatioSli, Selector
from vitalops.slo.budget import (
    BudgetStatus,
    Counts,
    RegionMeasure,
    State,
    budget_left,
    burn_down,
    burn_rate,
    exhausted_in,
    status_of,
    worst_first,
)
from vitalops.slo.objectives import Slo

MONTH = timedelta(days=30)
SLO = Slo(
    "records",
    "answered",
    RatioSli(
        kind="ratio",
        description="answered",
        runbook="service-rollback",
        total=Selector(metric="requests_total"),
        bad=Selector(metric="failures_total"),
    ),
    0.999,
    30,
    pages=True,
)


def measure(region: str, *buckets: Counts | None, **more: object) -> RegionMeasure:
    return replace(RegionMeasure(region, tuple(buckets), covered=1.0), **more)  # pyright: ignore[reportArgumentType]


def status(*measures: RegionMeasure) -> BudgetStatus:
    return status_of(SLO, "france", measures, MONTH)


@st.composite
def counted(draw: st.DrawFn, least: int = 0) -> Counts:
    events = draw(st.integers(least, 10**7))
    return Counts(float(events), float(draw(st.integers(0, events))))


OBJECTIVES = st.sampled_from([0.5, 0.95, 0.99, 0.999, 0.9999])


def test_figures_by_hand() -> None:
    """100,000 events at 99.9 % allow 100 bad ones. 25 are spent, 75 % is left; the last hour burns at 4.8."""
    found = status(
        measure(
            "fr-par", Counts(60_000, 5), Counts(40_000, 20), hour=Counts(625, 3), six_hours=Counts(5_000, 4)
        )
    )
    assert found.events == 100_000
    assert found.bad == 25
    assert found.attained == pytest.approx(0.99975)
    assert found.budget_left == pytest.approx(0.75)
    assert found.burn_1h == pytest.approx(4.8)
    assert found.burn_6h == pytest.approx(0.8)
    assert found.exhausted_in == pytest.approx(0.75 * 30 * 86_400 / 4.8)
    assert found.history == pytest.approx((0.95, 0.75))
    assert found.state is State.BURNING


@given(counted(least=1), counted(least=1), OBJECTIVES)
def test_regions_weigh_by_their_traffic(one: Counts, other: Counts, objective: float) -> None:
    """Joined is the pooled ratio: the means of the ratios, weighted by events."""
    slo = replace(SLO, objective=objective)
    found = status_of(slo, "france", [measure("a", one), measure("b", other)], MONTH)
    events = one.events + other.events
    assert one.ratio is not None
    assert other.ratio is not None
    weighted = (one.ratio * one.events + other.ratio * other.events) / events
    assert found.attained == pytest.approx(1 - weighted)
    assert found.budget_left == pytest.approx(1 - weighted / slo.budget, abs=1e-6)


@given(st.integers(1, 10**7), st.data(), OBJECTIVES)
def test_more_bad_events_never_leave_more(events: int, data: st.DataObject, objective: float) -> None:
    fewer = data.draw(st.integers(0, events))
    more = data.draw(st.integers(fewer, events))
    budget = 1 - objective
    lower, higher = (budget_left(Counts(events, bad), budget) for bad in (more, fewer))
    assert lower is not None
    assert higher is not None
    assert lower <= higher


@given(st.lists(st.none() | counted(), min_size=1, max_size=30), OBJECTIVES)
def test_the_history_ends_at_what_is_left_and_only_falls(
    buckets: list[Counts | None], objective: float
) -> None:
    budget = 1 - objective
    line = [left for left in burn_down(buckets, budget) if left is not None]
    assert line == sorted(line, reverse=True)
    known = [bucket for bucket in buckets if bucket]
    total = sum(known, Counts(0, 0))
    if total.events:
        assert line[-1] == pytest.approx(budget_left(total, budget), abs=1e-6)
    else:
        assert line == []


@given(st.floats(-5, 1), st.floats(0, 1000), st.floats(0, 1000))
def test_more_burn_never_lasts_longer(left: float, burn: float, more: float) -> None:
    def until(rate: float) -> float:
        seconds = exhausted_in(left, rate, MONTH)
        return math.inf if seconds is None else seconds

    assert until(burn + more) <= until(burn)


@pytest.mark.parametrize(
    ("left", "burn", "seconds"),
    [
        (0.0, None, 0.0),
        (-3.0, 0.0, 0.0),
        (1e-12, 50.0, 0.0),
        (0.5, None, None),
        (0.5, 1.0, None),
        (0.5, 10.0, 0.05 * 30 * 86_400),
        (None, 10.0, None),
    ],
)
def test_when_a_budget_is_spent(left: float | None, burn: float | None, seconds: float | None) -> None:
    assert exhausted_in(left, burn, MONTH) == seconds


def test_a_thousandth_spent_to_the_last_event_is_spent() -> None:
    assert status(measure("fr-par", Counts(1_000, 1))).state is State.EXHAUSTED
    assert status(measure("fr-par", Counts(1_001, 1))).state is State.OK


def test_a_young_history_gave_out_no_more_budget_than_it_measured() -> None:
    found = status(measure("fr-par", Counts(10_000, 5), hour=Counts(500, 5), covered=0.1))
    assert found.exhausted_in == pytest.approx(0.5 * 3 * 86_400 / 10)


@given(counted())
def test_no_number_where_nothing_was_measured(hour: Counts) -> None:
    """Whatever a region says of now, no events in the window give no ratio, no budget and no time."""
    found = status(measure("fr-par", Counts(0, 0), None, hour=hour))
    assert found.attained is None
    assert found.budget_left is None
    assert found.exhausted_in is None
    assert (found.burn_1h is None) == (hour.events == 0)


def test_states_without_numbers_go_by_name() -> None:
    absent = RegionMeasure("fr-par", trouble=State.ABSENT)
    gone = RegionMeasure("fr-gra", trouble=State.UNREACHABLE)
    assert status(measure("fr-par", Counts(0, 0))).state is State.NO_TRAFFIC
    assert status(absent).state is State.ABSENT
    assert status(gone).state is State.UNREACHABLE
    assert status(absent, gone).state is State.ABSENT
    for found in (status(absent), status(gone)):
        assert (found.events, found.attained, found.budget_left, found.burn_1h) == (None,) * 4


@pytest.mark.parametrize("trouble", [State.FROZEN, State.STALE])
def test_old_numbers_are_shown_as_old(trouble: State) -> None:
    found = status(measure("fr-par", Counts(10_000, 5), trouble=trouble))
    assert found.state is trouble
    assert found.budget_left == pytest.approx(0.5)
    assert found.burn_1h is None
    spent = status(measure("fr-par", Counts(10_000, 50), trouble=trouble))
    assert spent.state is State.EXHAUSTED
    assert spent.missing == {"fr-par": trouble}


def test_a_missing_region_is_said() -> None:
    found = status(measure("fr-par", Counts(10_000, 5)), RegionMeasure("fr-gra", trouble=State.UNREACHABLE))
    assert found.state is State.OK
    assert found.partial
    assert found.missing == {"fr-gra": State.UNREACHABLE}
    assert not status(measure("fr-par", Counts(10_000, 5))).partial


def test_burn_of_a_pair_leaves_out_what_is_old() -> None:
    old = measure("fr-gra", Counts(10_000, 5), hour=Counts(1_000, 900), trouble=State.STALE)
    found = status(measure("fr-par", Counts(10_000, 5), hour=Counts(1_000, 2)), old)
    assert found.burn_1h == pytest.approx(2.0)
    assert found.partial


def test_counters_read_at_different_times_stay_within_bounds() -> None:
    assert Counts(10, -0.1).ratio == 0.0
    assert Counts(10, 10.1).ratio == 1.0
    assert burn_rate(None, 0.001) is None


def test_the_worst_comes_first() -> None:
    spent = status(measure("fr-par", Counts(1_000, 5)))
    overspent = status(measure("fr-par", Counts(1_000, 50)))
    absent = status(RegionMeasure("fr-par", trouble=State.ABSENT))
    burning = status(measure("fr-par", Counts(10_000, 1), hour=Counts(100, 1)))
    fine = status(measure("fr-par", Counts(10_000, 1)))
    untouched = status(measure("fr-par", Counts(10_000, 0)))
    quiet = status(measure("fr-par", Counts(0, 0)))
    shuffled = [quiet, fine, absent, overspent, untouched, burning, spent]
    assert sorted(shuffled, key=worst_first) == [overspent, spent, burning, absent, fine, untouched, quiet]
