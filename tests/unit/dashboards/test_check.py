"""Panels without data are found, and only those."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dashboards.check import Outcome, Period, Question, check, questions
from dashboards.kit import IN_REGION, REGION, SERVICE, TRAFFIC, rate
from dashboards.model import Dashboard, Look, Panel, Query, Section, Unit
from vitalops.errors import RemoteError
from vitalops.ports.metrics import FakeMetrics, Sample, Series


def dashboard(*panels: Panel) -> Dashboard:
    return Dashboard("d", "D", "It.", (Section("s", panels),), (REGION, SERVICE, TRAFFIC))


def panel(query: Query, look: Look = Look.LINES) -> Panel:
    return Panel("p", "It.", Unit.COUNT, (query,), look)


def asked(made: Dashboard, period: Period, *services: str) -> list[Question]:
    return list(questions([made], "fr-par", services or ("records",), period))


def series(period: Period, *values: float) -> tuple[Series, ...]:
    return (Series({}, tuple((period.end, value) for value in values)),)


def test_variables_are_filled_in_once_for_each_service(period: Period) -> None:
    query = Query(rate("m", IN_REGION, 'service=~"$service"', 'traffic=~"$traffic"'))
    found = asked(dashboard(panel(query)), period, "records", "audit")
    assert [each.expr for each in found] == [
        f'rate(m{{region=~"fr-par",service=~"{service}",traffic=~".*"}}[65s])'
        for service in ("records", "audit")
    ]


@pytest.mark.parametrize(
    ("span", "scrape", "interval"),
    [(60, 5, "65s"), (5, 5, "20s"), (5, 30, "120s"), (1440, 5, "1445s")],
)
def test_the_rate_interval_is_grafanas(period: Period, span: int, scrape: int, interval: str) -> None:
    made = replace(period, span=timedelta(minutes=span), scrape=timedelta(seconds=scrape))
    assert made.rate_interval == interval


def test_one_value_is_data_and_none_is_a_fault(period: Period) -> None:
    full, holed, blank = (panel(Query(name)) for name in ("full", "holed", "blank"))
    nan = float("nan")
    source = FakeMetrics(
        ranges={
            "full": series(period, 0.0),
            "holed": series(period, nan, 2.0, nan),
            "blank": series(period, nan, nan),
        }
    )
    made = dashboard(full, holed, blank, panel(Query("absent")))
    found = check(asked(made, period), source, period)
    assert [each.outcome for each in found] == [Outcome.DATA, Outcome.DATA, Outcome.EMPTY, Outcome.EMPTY]
    assert [each.detail for each in found[2:]] == ["only values that are no number", "no series"]
    assert [each.is_fault for each in found] == [False, False, True, True]


def test_tables_and_numbers_are_asked_for_now(period: Period) -> None:
    source = FakeMetrics(instants={"now": (Sample({}, 1.0, period.end),)})
    found = check(asked(dashboard(panel(Query("now"), Look.TABLE)), period), source, period)
    assert [each.outcome for each in found] == [Outcome.DATA]


def test_a_written_reason_excuses(period: Period) -> None:
    made = replace(dashboard(panel(Query("absent", may_be_empty="nothing fires"))), variables=(REGION,))
    (found,) = check(asked(made, period), FakeMetrics(), period)
    assert (found.outcome, found.detail, found.is_fault) == (Outcome.EXCUSED, "nothing fires", False)


def test_a_reason_for_some_services_does_not_hold_for_all(period: Period) -> None:
    made = dashboard(panel(Query('calls{service="$service"}', may_be_empty="calls nobody")))
    asking = asked(made, period, "records", "audit")
    source = FakeMetrics(ranges={'calls{service="records"}': series(period, 1.0)})
    assert [each.outcome for each in check(asking, source, period)] == [Outcome.DATA, Outcome.EXCUSED]
    nothing = check(asking, FakeMetrics(), period)
    assert [each.detail for each in nothing] == ["no series for any service"] * 2
    assert all(each.is_fault for each in nothing)


class Refusing(FakeMetrics):
    """Answers, but not to ranges."""

    def range(self, *_: object) -> tuple[Series, ...]:
        raise RemoteError("parse error")


def test_a_query_that_is_refused_is_a_fault_even_with_a_reason_to_be_empty(period: Period) -> None:
    made = dashboard(panel(Query("bad", may_be_empty="nothing fires")))
    (found,) = check(asked(made, period), Refusing(), period)
    assert (found.outcome, found.detail, found.is_fault) == (Outcome.FAILED, "parse error", True)


def test_nobody_answering_is_no_finding_about_panels(period: Period) -> None:
    source = FakeMetrics(fails_with=lambda: RemoteError("region fr-par: Prometheus did not answer"))
    with pytest.raises(RemoteError, match="did not answer"):
        check(asked(dashboard(panel(Query("up"))), period), source, period)
