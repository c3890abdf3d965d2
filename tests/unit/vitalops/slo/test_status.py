"""Asking several regions for budgets: few queries, and nothing that is missing is left unsaid."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from vitalops import conventions as c
from vitalops.errors import ExitCode, RemoteError
from vitalops.model.slo import RatioSli, Selector
from vitalops.ports.metrics import FakeMetrics, Sample, Series
from vitalops.slo import queries
from vitalops.slo.budget import State
from vitalops.slo.objectives import Slo
from vitalops.slo.readings import BUCKETS
from vitalops.slo.status import Prometheus, Question, Scope, SloReport, Verdict, slo_status

NOW = datetime(2026, 11, 22, 21, 0, tzinfo=UTC)
MONTH = timedelta(days=30)
STEP = MONTH / BUCKETS
QUESTION = Question(NOW, timedelta(seconds=5))


def slo(service: str, sli: str, *, synthetic: bool = False, days: int = 30) -> Slo:
    declared = RatioSli(
        kind="ratio",
        description="of a test",
        runbook="service-rollback",
        traffic="synthetic" if synthetic else "real",
        total=Selector(metric="requests_total"),
        bad=Selector(metric="failures_total"),
    )
    return Slo(service, sli, declared, 0.99, days, pages=True)


ANSWERED = slo("records", "answered")
WALKED = slo("consultation", "walked", synthetic=True)
SLOS = (ANSWERED, WALKED)


class Region:
    """What one region's Prometheus answers: events of each day, of the last hour, and how old."""

    def __init__(self, name: str, slos: Iterable[Slo] = SLOS) -> None:
        self.name = name
        self.slos = tuple(slos)
        self.metrics = FakeMetrics(name)
        self.metrics.instants[queries.SCRAPE_AGES] = (Sample({"region": name}, 2.0, NOW),)
        self._recent: list[Sample] = []
        self._ages: list[Sample] = []
        self._ranges: dict[str, list[Series]] = {}

    def counts(
        self,
        of: Slo,
        daily: dict[int, tuple[float, float]],
        *,
        hour: tuple[float, float] | None = None,
        traffic: str | None = c.TRAFFIC_REAL,
        age: float | None = 30.0,
    ) -> Region:
        """`daily` is by days ago; the last is 0."""
        labels = {"slo": of.id, "region": self.name} | ({"traffic": traffic} if traffic else {})
        moments = [(NOW - ago * STEP, counted) for ago, counted in sorted(daily.items(), reverse=True)]
        for query, values in (
            (queries.summed(queries.EVENTS_BASE, self.slos, STEP), [pair[0] for _, pair in moments]),
            (queries.summed(queries.BAD_BASE, self.slos, STEP), [pair[1] for _, pair in moments]),
            (queries.recorded_minutes(self.slos, STEP), [1440.0] * len(moments)),
        ):
            points = tuple((moment, value) for (moment, _), value in zip(moments, values, strict=True))
            self._ranges.setdefault(query, []).append(Series(labels, points))
        if hour is not None:
            for base, value in zip((c.RECORD_EVENTS, c.RECORD_BAD), hour, strict=True):
                for window, times in (("1h", 1), ("6h", 6)):
                    self._recent.append(Sample({**labels, "__name__": f"{base}{window}"}, value * times, NOW))
        if age is not None:
            self._ages.append(Sample(labels, age, NOW))
        return self

    def source(self) -> Prometheus:
        self.metrics.instants[queries.recent(self.slos)] = tuple(self._recent)
        self.metrics.instants[queries.ages(self.slos)] = tuple(self._ages)
        self.metrics.ranges.update({query: tuple(series) for query, series in self._ranges.items()})
        return Prometheus(self.name, (self.name,), lambda: self.metrics)


def ask(*regions: Region, slos: tuple[Slo, ...] = SLOS, question: Question = QUESTION) -> SloReport:
    scope = Scope("france", tuple(region.name for region in regions), slos)
    return slo_status([region.source() for region in regions], [scope], question)


def healthy(name: str, *, events: float = 1000.0, bad: float = 1.0) -> Region:
    days = dict.fromkeys(range(BUCKETS), (events, bad))
    return (
        Region(name)
        .counts(ANSWERED, days, hour=(40.0, 0.0))
        .counts(WALKED, days, hour=(60.0, 0.0), traffic=c.TRAFFIC_SYNTHETIC)
    )


def test_a_healthy_region() -> None:
    report = ask(healthy("fr-par"))
    assert report.verdict is Verdict.OK
    assert report.exit_code is ExitCode.PASS
    assert [status.state for status in report.slos] == [State.OK, State.OK]
    for status in report.slos:
        assert status.events == 30_000
        assert status.bad == 30
        assert status.budget_left == pytest.approx(0.9)
        assert status.covered == 1.0
        assert status.newest == NOW - timedelta(seconds=30)
        assert status.missing == {}


def test_six_queries_answer_for_every_objective() -> None:
    many = tuple(slo(f"service-{number}", "answered") for number in range(60))
    region = Region("fr-par", many)
    ask(region, slos=many)
    assert len([query for query in region.metrics.asked if "5m" not in query]) == 6


def test_one_round_of_queries_for_each_length_of_window() -> None:
    slos = (ANSWERED, slo("audit", "answered", days=7))
    region = Region("fr-par", slos)
    ask(region, slos=slos)
    assert len([query for query in region.metrics.asked if "5m" not in query]) == 9


def test_regions_of_a_pair_weigh_by_traffic() -> None:
    busy, quiet = healthy("fr-par", events=9_000, bad=9), healthy("fr-gra", events=1_000, bad=91)
    status = ask(busy, quiet).slos[0]
    assert status.attained == pytest.approx(1 - 100 / 10_000)
    assert status.state is State.EXHAUSTED


def test_synthetic_events_never_count_as_real_ones_nor_the_other_way_round() -> None:
    days = {0: (100.0, 50.0)}
    region = (
        Region("fr-par")
        .counts(ANSWERED, days, traffic=c.TRAFFIC_SYNTHETIC)
        .counts(WALKED, days, traffic=c.TRAFFIC_REAL)
    )
    assert {status.state for status in ask(region).slos} == {State.ABSENT}


def test_series_without_traffic_are_real_and_add_up() -> None:
    region = (
        Region("fr-par").counts(ANSWERED, {0: (100.0, 0.0)}, traffic=None).counts(ANSWERED, {0: (100.0, 1.0)})
    )
    (status,) = (each for each in ask(region).slos if each.slo == ANSWERED.id)
    assert (status.events, status.bad) == (200.0, 1.0)
    assert status.covered == pytest.approx(1 / 30)


def test_a_region_that_does_not_answer_is_said_and_the_other_is_shown() -> None:
    gone = healthy("fr-gra")
    gone.metrics.fails_with = lambda: RemoteError("region fr-gra: Prometheus is not reached")
    report = ask(healthy("fr-par"), gone)
    assert report.verdict is Verdict.INCOMPLETE
    assert report.exit_code is ExitCode.REMOTE
    assert report.sources[1].problem == "region fr-gra: Prometheus is not reached"
    for status in report.slos:
        assert status.state is State.OK
        assert status.partial
        assert status.missing == {"fr-gra": State.UNREACHABLE}


def test_a_source_that_cannot_be_connected_is_unreachable() -> None:
    def refuse() -> FakeMetrics:
        raise RemoteError("region fr-par: its kubeconfig cannot be used")

    report = slo_status(
        [Prometheus("fr-par", ("fr-par",), refuse)], [Scope("fr-par", ("fr-par",), SLOS)], QUESTION
    )
    assert {status.state for status in report.slos} == {State.UNREACHABLE}
    assert {status.attained for status in report.slos} == {None}
    assert report.exit_code is ExitCode.REMOTE


def test_a_spent_budget_outweighs_what_could_not_be_measured() -> None:
    gone = healthy("fr-gra")
    gone.metrics.fails_with = lambda: RemoteError("gone")
    assert ask(healthy("fr-par", bad=500), gone).exit_code is ExitCode.FINDING


def test_a_scrape_that_is_three_intervals_old_is_fresh_and_a_later_one_stale() -> None:
    for age, state, status in ((15.0, State.OK, 0), (15.1, State.STALE, 3)):
        region = healthy("fr-par")
        region.metrics.instants[queries.SCRAPE_AGES] = (Sample({"region": "fr-par"}, age, NOW),)
        report = ask(region)
        assert {each.state for each in report.slos} == {state}
        assert report.exit_code == status
        assert report.sources[0].stale == (("fr-par",) if status else ())
        assert {each.burn_1h is None for each in report.slos} == {bool(status)}


def test_a_prometheus_that_stopped_days_ago_is_stale_since_then() -> None:
    days = dict.fromkeys(range(3, BUCKETS), (1000.0, 1.0))
    region = Region("fr-par").counts(ANSWERED, days, age=None)
    last = NOW - timedelta(days=3)
    region.metrics.instants[queries.SCRAPE_AGES] = ()
    region.metrics.instants[queries.last_recorded(SLOS, MONTH)] = (
        Sample({"region": "fr-par"}, last.timestamp(), NOW),
    )
    report = ask(region)
    by_id = {status.slo: status for status in report.slos}
    assert by_id[ANSWERED.id].state is State.STALE
    assert by_id[ANSWERED.id].newest == last
    assert by_id[WALKED.id].state is State.ABSENT
    assert report.sources[0].newest == {"fr-par": last}
    assert report.exit_code is ExitCode.REMOTE


def test_series_that_went_missing_are_frozen_and_keep_their_numbers() -> None:
    days = dict.fromkeys(range(BUCKETS), (1000.0, 1.0))
    other = slo("audit", "answered")
    region = Region("fr-par", (*SLOS, other)).counts(other, days, age=None).counts(ANSWERED, days)
    found = {status.slo: status for status in ask(region, slos=(*SLOS, other)).slos}
    assert found[other.id].state is State.FROZEN
    assert found[other.id].budget_left == pytest.approx(0.9)
    assert found[ANSWERED.id].state is State.OK


def test_rules_that_are_no_longer_evaluated_are_stale_though_targets_are_scraped() -> None:
    region = Region("fr-par").counts(ANSWERED, {0: (10.0, 0.0)}, age=181.0)
    found = {status.slo: status for status in ask(region).slos}
    assert found[ANSWERED.id].state is State.STALE


def test_an_empty_prometheus_has_nothing_by_name() -> None:
    report = ask(Region("fr-par"))
    assert {status.state for status in report.slos} == {State.ABSENT}
    assert report.exit_code is ExitCode.REMOTE
    assert report.sources[0].stale == ()


def test_no_traffic_is_no_fault() -> None:
    quiet = healthy("fr-par", events=0, bad=0)
    report = ask(quiet)
    assert {status.state for status in report.slos} == {State.NO_TRAFFIC}
    assert {status.attained for status in report.slos} == {None}
    assert report.exit_code is ExitCode.PASS


def test_the_prober_walks_in_one_region_of_a_pair() -> None:
    days = dict.fromkeys(range(BUCKETS), (1000.0, 1.0))
    standby = Region("fr-gra").counts(ANSWERED, days)
    report = ask(healthy("fr-par"), standby)
    assert report.exit_code is ExitCode.PASS
    alone = ask(standby)
    assert {status.slo: status.state for status in alone.slos} == {
        ANSWERED.id: State.OK,
        WALKED.id: State.ABSENT,
    }


def test_values_that_are_no_numbers_are_no_measurements() -> None:
    region = Region("fr-par").counts(ANSWERED, {0: (float("nan"), float("nan"))}, hour=(float("nan"), 0.0))
    found = {status.slo: status for status in ask(region).slos}
    assert found[ANSWERED.id].state is State.ABSENT
    assert found[ANSWERED.id].burn_1h is None


def test_events_without_bad_ones_recorded_beside_them_say_nothing() -> None:
    region = healthy("fr-par")
    source = region.source()
    region.metrics.ranges[queries.summed(queries.BAD_BASE, SLOS, STEP)] = ()
    report = slo_status([source], [Scope("fr-par", ("fr-par",), SLOS)], QUESTION)
    assert {status.attained for status in report.slos} == {None}
    assert report.exit_code is ExitCode.REMOTE


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (queries.summed("m", (ANSWERED,), STEP), 'sum_over_time(m{traffic!="synthetic"}[86399999ms])'),
        (queries.summed("m", (WALKED,), STEP), 'm{traffic="synthetic",slo=~"consultation-walked"}'),
        (queries.summed("m", SLOS, STEP, "records"), 'm{traffic!="synthetic",service="records"}'),
        (
            queries.recent((ANSWERED,)),
            '{__name__=~"slo:events:increase1h|slo:events:increase6h|slo:bad_events:increase1h|'
            'slo:bad_events:increase6h",traffic!="synthetic"}',
        ),
    ],
)
def test_what_is_asked(given: str, part: str) -> None:
    assert part in given
