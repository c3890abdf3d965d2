"""The conditions that the compiler writes down, as themselves: monotonic, exact where few events decide, in time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitalops.conventions import SEVERITY_PAGE, SEVERITY_TICKET
from vitalops.model.slo import RatioSli, Selector
from vitalops.slo.binomial import at_least, at_most
from vitalops.slo.budget import Counts
from vitalops.slo.conditions import (
    MOST_TESTED,
    Burn,
    Evidence,
    Seen,
    Unsettled,
    budget_of,
    conditions_of,
)
from vitalops.slo.objectives import Slo
from vitalops.slo.windows import bundled_windows

WINDOWS = bundled_windows()
SLOT = 5
"""Minutes of one step of a timeline."""
Timeline = list[tuple[int, int]]
"""Events, and how many of them were bad, in each slot."""


def slo(objective: float = 0.999, *, days: int = 30, pages: bool = True, minimum: int | None = None) -> Slo:
    sli = RatioSli(
        kind="ratio",
        description="x",
        runbook="x",
        total=Selector(metric="total"),
        bad=Selector(metric="bad"),
        minimum_failures=minimum,
    )
    return Slo("records", "answered", sli, objective, days, pages)


def at(timeline: Timeline, slot: int) -> Seen:
    """What the recorded series say at the end of a slot."""

    def counted(minutes: int) -> Counts:
        latest = timeline[max(0, slot + 1 - minutes // SLOT) : slot + 1]
        return Counts(sum(events for events, _ in latest), sum(bad for _, bad in latest))

    names = {name: length // 60 for flag in (True, False) for name, length in WINDOWS.names(with_scrape=flag)}
    return Seen(
        {name: counted(minutes) for name, minutes in names.items()},
        sum(bad > 0 for _, bad in timeline[max(0, slot - 5) : slot + 1]),
    )


def alerting(timeline: Timeline, conditions: tuple[Burn, ...]) -> list[bool]:
    return [any(each.holds(at(timeline, slot)) for each in conditions) for slot in range(len(timeline))]


SLOTS = st.lists(
    st.tuples(st.integers(0, 2000), st.sampled_from([0, 0, 0, 1, 2, 12, 60, 2000])), min_size=1, max_size=90
)
OBJECTIVES = st.sampled_from([0.9, 0.95, 0.99, 0.995, 0.999, 0.9999])


@settings(max_examples=60)
@given(SLOTS, st.data(), OBJECTIVES, st.sampled_from([7, 30]))
def test_more_failures_never_end_an_alert_nor_delay_it(
    slots: Timeline, data: st.DataObject, objective: float, days: int
) -> None:
    """The same events, of which more are bad."""
    fewer = [(events, min(events, bad)) for events, bad in slots]
    places = st.dictionaries(st.integers(0, len(slots) - 1), st.integers(1, 300), max_size=12)
    extra = data.draw(places)
    more = [(events, min(events, bad + extra.get(i, 0))) for i, (events, bad) in enumerate(fewer)]
    for severity in (SEVERITY_PAGE, SEVERITY_TICKET):
        conditions = conditions_of(slo(objective, days=days), WINDOWS, severity)
        before, after = alerting(fewer, conditions), alerting(more, conditions)
        assert all(later or not earlier for earlier, later in zip(before, after, strict=True))
        assert True not in before or after.index(True) <= before.index(True)


@settings(max_examples=60)
@given(SLOTS, OBJECTIVES)
def test_a_stricter_objective_alerts_no_later(slots: Timeline, objective: float) -> None:
    """The same failures burn a smaller budget faster."""
    timeline = [(events, min(events, bad)) for events, bad in slots]
    stricter = 1 - (1 - objective) / 10
    for severity in (SEVERITY_PAGE, SEVERITY_TICKET):
        loose = alerting(timeline, conditions_of(slo(objective), WINDOWS, severity))
        strict = alerting(timeline, conditions_of(slo(stricter), WINDOWS, severity))
        assert True not in loose or strict.index(True) <= loose.index(True)


@given(st.floats(0.001, 0.9), st.integers(1, 10), st.integers(0, 400), st.integers(0, 40))
def test_few_failures_count_only_where_they_are_significant(
    probability: float, least: int, events: int, bad: int
) -> None:
    bad = min(bad, events)
    holds = Evidence.of(least, probability, 0.01).holds(Counts(events, bad))
    significant = bad >= MOST_TESTED or at_least(bad, events, probability) <= 0.01
    assert holds == (bad >= least and significant)


@given(st.floats(0.001, 0.3), st.integers(0, 20_000), st.integers(0, 30))
def test_burn_is_over_only_where_so_few_failures_are_significant(
    probability: float, events: int, bad: int
) -> None:
    (window,) = [each for each in WINDOWS.all if each.settles]
    assert window.settles
    unsettled = Unsettled.of(window.settles, probability, window, WINDOWS.recent)
    bad = min(bad, events)
    over = not unsettled.holds(Seen({"5m": Counts(events, bad)}, slots_with_failures=6))
    chance = at_most(bad, events, probability)
    assert not over or chance <= window.settles.significance
    if events < unsettled.steps[-1]:
        assert over == (chance <= window.settles.significance)


def test_failures_of_one_incident_are_not_slow_burn_once_they_have_ended() -> None:
    (page,) = [each for each in conditions_of(slo(), WINDOWS, SEVERITY_PAGE) if each.unsettled]
    assert page.unsettled
    quiet = {"5m": Counts(300, 0)}
    assert page.unsettled.holds(Seen(quiet, slots_with_failures=4))
    assert not page.unsettled.holds(Seen(quiet, slots_with_failures=3))
    assert page.unsettled.holds(Seen({"5m": Counts(300, 1)}, slots_with_failures=1))
    assert not page.unsettled.holds(Seen({"5m": Counts(3000, 1)}, slots_with_failures=6))


def test_a_full_outage_of_one_request_a_second_pages_in_its_first_minute() -> None:
    """14.4 * 0.1 % of an hour is 51.84 s."""
    fast = conditions_of(slo(), WINDOWS, SEVERITY_PAGE)[0]

    def after(seconds: int) -> Seen:
        return Seen({"1h": Counts(3600, seconds), "5m": Counts(300, seconds)})

    assert not fast.holds(after(51))
    assert fast.holds(after(52))


@pytest.mark.parametrize("requests", [500, 5000])
def test_lone_failures_do_not_page_however_few_requests_there_are(requests: int) -> None:
    """50 in 8 hours are one in every second slot; three and four together come by chance."""
    timeline = [(requests // 96, 1 if slot % 2 else 0) for slot in range(96)]
    for slot, together in ((10, 4), (40, 3), (70, 4)):
        timeline[slot] = (max(requests // 96, together), together)
    assert not any(alerting(timeline, conditions_of(slo(), WINDOWS, SEVERITY_PAGE)))


def test_nobody_is_paged_for_a_tier_that_does_not_page() -> None:
    assert conditions_of(slo(pages=False), WINDOWS, SEVERITY_PAGE) == ()
    assert len(conditions_of(slo(pages=False), WINDOWS, SEVERITY_TICKET)) == 2


def test_an_objective_that_cannot_burn_fast_enough_has_no_such_condition() -> None:
    """With a budget of 10 % a full outage burns at 10, below 14.4."""
    assert [each.window.long_name for each in conditions_of(slo(0.9), WINDOWS, SEVERITY_PAGE)] == ["6h"]
    assert conditions_of(slo(0.8), WINDOWS, SEVERITY_PAGE) == ()


def test_windows_longer_than_the_budget_s_are_left_out() -> None:
    assert [each.window.long_name for each in conditions_of(slo(days=1), WINDOWS, SEVERITY_TICKET)] == ["1d"]


def test_an_sli_s_own_minimum_takes_the_place_of_the_windows() -> None:
    assert {each.minimum for each in conditions_of(slo(minimum=3), WINDOWS, SEVERITY_PAGE)} == {3}
    assert [each.minimum for each in conditions_of(slo(), WINDOWS, SEVERITY_PAGE)] == [10, 20]


def test_budgets_are_free_of_binary_noise() -> None:
    assert budget_of(slo(0.999)) == 0.001
    assert budget_of(slo(0.95)) == 0.05


def test_the_expression_says_what_the_condition_does() -> None:
    fast = conditions_of(slo(), WINDOWS, SEVERITY_PAGE)[0]
    text = replace(fast, evidence=Evidence(10, (7, 9))).promql({"slo": "a"})
    assert text.splitlines() == [
        'slo:errors:ratio1h{slo="a"} / 0.001 > 14.4',
        'and slo:errors:ratio5m{slo="a"} / 0.001 > 14.4',
        'and slo:bad_events:increase5m{slo="a"} > 9.5',
        'and slo:bad_events:increase1h{slo="a"} > 9.5'
        ' + (slo:events:increase1h{slo="a"} > bool 7) + (slo:events:increase1h{slo="a"} > bool 9)',
    ]
