"""Burn alerts, told second by second to Prometheus's rule engine: when they fire, when they end, when they do not."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cluster.slo.harness import Story, counter, gone, only
from vitalops.conventions import ALERT_BURN, ALERT_PLANNED, ALERT_SLI_ABSENT
from vitalops.model.platform import Platform
from vitalops.model.telemetry import PlannedWork
from vitalops.slo.promql import selector
from vitalops.slo.rules import compile_rules

HOUR = 3600
RESPONSES = "haproxy_backend_http_responses_total"
NOT_FOR_PAGES = "increase(2h|1d|3d|30d)|ratio(2h|1d|3d)|remaining|objective|Exhausted"
"""What page alerts do not read: subqueries over days would take minutes."""

ANSWERED = {
    "slo": "records-answered",
    "sli": "answered",
    "service": "records",
    "region": "fr-par",
    "pair": "france",
    "traffic": "real",
    "runbook": "service-rollback",
}
ANSWERED_SERIES = {name: value for name, value in ANSWERED.items() if name != "runbook"}
PAGE = {**ANSWERED, "severity": "page"}
TICKET = {**ANSWERED, "severity": "ticket"}


def responses(
    story: Story,
    seconds: int,
    good: Callable[[int], float],
    bad: Callable[[int], float],
    *,
    traffic: str = "real",
    service: str = "records",
) -> None:
    for code, each in (("2xx", good), ("5xx", bad)):
        labels = {"proxy": service, "code": code, "traffic": traffic, "region": "fr-par"}
        story.scraped(RESPONSES, labels, counter(seconds, each))


def records(platform: Platform, region: str = "fr-par") -> dict[str, str]:
    return {"records.yaml": compile_rules(platform, region)["records.yaml"]}


@pytest.mark.parametrize(("minutes", "rate"), [(2, 1), (10, 1), (30, 3)])
def test_a_full_outage_pages_within_a_minute_and_is_over_six_minutes_after_recovery(
    promtool: str, tmp_path: Path, platform: Platform, minutes: int, rate: int
) -> None:
    """An hour of history: theory says 52 s, and a scrape and an evaluation come on top.

    How soon a long outage is known to be over takes some traffic: 30 minutes of it were in every slot, as slow burn is.
    """
    begin, end = HOUR, HOUR + 60 * minutes
    story = Story()
    responses(story, end + 400, lambda s: rate * (not begin < s <= end), lambda s: rate * (begin < s <= end))
    story.silent(begin + 45, ALERT_BURN, PAGE)
    story.fires(begin + 62 - 62 % 5, ALERT_BURN, PAGE)
    story.fires(end + 60, ALERT_BURN, PAGE)
    story.silent(end + 360, ALERT_BURN, PAGE)
    answered = (selector("", ANSWERED_SERIES), 36 * rate)
    story.expect(end + 400, 'round(slo:events:increase1h{slo="records-answered"} / 100)', answered)
    story.expect(end + 360, 'slo:events:increase30m{slo="records-answered"} / 50', answered)
    story.told(promtool, tmp_path, records(platform), without=NOT_FOR_PAGES)


@pytest.mark.parametrize("requests", [500, 5000])
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_fifty_lone_failures_in_a_quiet_night_wake_nobody(
    promtool: str, tmp_path: Path, platform: Platform, requests: int, seed: int | None
) -> None:
    night = 8 * HOUR
    if seed is None:
        failures = {night * (2 * i + 1) // 100 for i in range(50)}
    else:
        failures = set(random.Random(seed).sample(range(1, night), 50))
    every = night // requests
    story = Story(step=30)
    responses(story, night, lambda s: s % every == 0 and s not in failures, lambda s: s in failures)
    story.never_fired(night, ALERT_BURN, PAGE)
    enough = 'slo:bad_events:increase6h{slo="records-answered"} > bool 30'
    story.expect(night, enough, (selector("", ANSWERED_SERIES), 1))
    story.told(promtool, tmp_path, records(platform), without=NOT_FOR_PAGES)


def test_an_alert_says_what_burns_how_fast_and_what_a_patient_notices(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    story = Story(step=60)
    responses(story, 2 * HOUR, lambda s: 0.75, lambda s: 0.25)
    story.says(
        2 * HOUR - 60,
        ALERT_BURN,
        PAGE,
        {
            "summary": "records: answered burns its error budget at 250 times the rate it allows",
            "description": "Objective: 99.9 % over 30 days. It alerts above 14.4 over 1h and 5m or 6 over 6h and 30m. ",
            "notices": "requests that the gateway answered without a server error",
            "runbook": "service-rollback",
        },
    )
    without = NOT_FOR_PAGES + "|SliAbsent"
    story.told(promtool, tmp_path, records(platform), without=without)


def test_without_measurements_an_alert_stays_as_it_was_and_absence_is_told(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    begin, lost, back = HOUR, HOUR + 120, HOUR + 1800
    end = back + 900
    story = Story(step=15)
    responses(story, end, lambda s: not begin < s <= lost, lambda s: begin < s <= lost)
    for series, values in story.series.items():
        story.series[series] = gone(values, lost + 5, back)
    story.fires(lost, ALERT_BURN, PAGE)
    story.silent(lost + 75, ALERT_SLI_ABSENT, PAGE)
    story.fires(lost + 120, ALERT_SLI_ABSENT, PAGE)
    for minute in (4, 6, 10, 20, 27):
        story.fires(lost + 60 * minute, ALERT_BURN, PAGE)
    story.silent(back + 60, ALERT_BURN, PAGE)
    story.silent(back + 150, ALERT_SLI_ABSENT, PAGE)
    story.told(promtool, tmp_path, records(platform), without=NOT_FOR_PAGES)


def test_an_alert_that_did_not_fire_does_not_begin_when_its_series_vanish(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    story = Story(step=15)
    responses(story, 2 * HOUR, lambda s: 1, lambda s: 0)
    for series, values in story.series.items():
        story.series[series] = gone(values, HOUR)
    story.never_fired(2 * HOUR, ALERT_BURN, PAGE)
    story.fires(HOUR + 120, ALERT_SLI_ABSENT, PAGE)
    story.told(promtool, tmp_path, records(platform), without=NOT_FOR_PAGES)


def test_a_pod_that_is_replaced_and_a_night_without_traffic_are_no_absence(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    story = Story(step=15)
    responses(story, 2 * HOUR, lambda s: s < HOUR, lambda s: 0)
    for series, values in story.series.items():
        story.series[series] = gone(values, 2000, 2060)
    story.never_fired(2 * HOUR, ALERT_SLI_ABSENT, PAGE)
    story.never_fired(2 * HOUR, ALERT_BURN, PAGE)
    story.expect(2 * HOUR, 'slo:sli:present{slo="records-answered"} == 0')
    story.expect(2 * HOUR, 'slo:errors:ratio5m{slo="records-answered"}')
    story.told(promtool, tmp_path, records(platform), without=NOT_FOR_PAGES)


def planned(platform: Platform, begin: int, end: int) -> Platform:
    """With work on records; promtool's time begins with 1970."""
    work = PlannedWork(
        start=datetime.fromtimestamp(begin, UTC),
        end=datetime.fromtimestamp(end, UTC),
        reason="PostgreSQL {{ 18 }}",
        services=("records",),
    )
    return platform.model_copy(update={"planned_work": (work,)})


def test_planned_work_neither_pages_nor_counts_and_says_so(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    begin, end = HOUR, HOUR + 900
    over = end + 1200
    rules = compile_rules(planned(platform, begin, end), "fr-par")
    story = Story(step=15)
    # The outage begins and ends with the work. A scrape of its last second comes after it.
    responses(story, over, lambda s: not begin < s <= end, lambda s: begin < s <= end)
    for at in (begin + 120, end - 15, end + 15, end + 60, end + 300, end + 600, over):
        story.silent(at, ALERT_BURN, PAGE)
    story.never_fired(over, ALERT_BURN, PAGE)
    story.expect(begin - 30, "ALERTS{alertname='PlannedWork'}")
    story.says(
        begin + 30,
        ALERT_PLANNED,
        {
            "severity": "none",
            "region": "fr-par",
            "pair": "france",
            "planned": "1970-01-01T01:00:00Z/1970-01-01T01:15:00Z",
        },
        {
            "summary": "Planned work on records until 1970-01-01T01:15:00Z: PostgreSQL {{ 18 }}",
            "description": "Until then none of its alerts fires, and what fails is not counted against error budgets.",
        },
    )
    story.expect(end + 30, "ALERTS{alertname='PlannedWork'}")
    bad = 'sum_over_time(slo:bad_events:increase1m{slo="records-answered"}[1h:1m])'
    story.expect(over, bad, (selector("", {**ANSWERED_SERIES}), 0))
    story.told(promtool, tmp_path, only(rules, ["records.yaml", "_planned-work.yaml"]), without=NOT_FOR_PAGES)


def test_a_service_that_is_down_for_planned_work_is_not_missed_until_after_it(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    """Burn that fires when the work begins ends then, too."""
    begin, end = HOUR, HOUR + 900
    rules = compile_rules(planned(platform, begin, end), "fr-par")
    story = Story(step=15)
    responses(story, end + 300, lambda s: s <= begin - 180, lambda s: s > begin - 180)
    for series, values in story.series.items():
        story.series[series] = gone(values, begin + 60)
    story.fires(begin - 30, ALERT_BURN, PAGE)
    for at in range(begin + 30, end + 300, 60):
        story.silent(at, ALERT_BURN, PAGE)
    for at in range(begin, end + 200, 50):
        story.silent(at, ALERT_SLI_ABSENT, PAGE)
    story.fires(end + 255, ALERT_SLI_ABSENT, PAGE)
    story.told(promtool, tmp_path, only(rules, ["records.yaml", "_planned-work.yaml"]), without=NOT_FOR_PAGES)


def test_what_still_fails_after_planned_work_pages(promtool: str, tmp_path: Path, platform: Platform) -> None:
    begin, end = HOUR, HOUR + 900
    rules = compile_rules(planned(platform, begin, end), "fr-par")
    story = Story()
    responses(story, end + 200, lambda s: s <= begin, lambda s: s > begin)
    story.silent(end, ALERT_BURN, PAGE)
    story.fires(end + 150, ALERT_BURN, PAGE)
    story.told(promtool, tmp_path, only(rules, ["records.yaml", "_planned-work.yaml"]), without=NOT_FOR_PAGES)


def test_work_on_another_service_mutes_nothing(promtool: str, tmp_path: Path, platform: Platform) -> None:
    elsewhere = planned(platform, HOUR, 2 * HOUR)
    assert records(elsewhere) != records(platform)
    assert compile_rules(elsewhere, "fr-par")["audit.yaml"] == compile_rules(platform, "fr-par")["audit.yaml"]


def test_slow_burn_is_a_ticket(promtool: str, tmp_path: Path, platform: Platform) -> None:
    """Four times the allowed rate: below every page, above the ticket's 3 in a day."""
    day = 86400
    story = Story(step=60, scrape=60)
    for code, rate in (("2xx", 0.996), ("5xx", 0.004)):
        labels = {"proxy": "records", "code": code, "traffic": "real"}
        story.scraped(RESPONSES, labels, [round(rate * 60 * i, 3) for i in range(day // 60)])
    story.never_fired(day - 60, ALERT_BURN, PAGE)
    story.fires(day - 60, ALERT_BURN, TICKET)
    story.told(promtool, tmp_path, records(platform), without="30d|remaining|Exhausted")


def test_one_failure_among_few_events_is_nothing(promtool: str, tmp_path: Path, platform: Platform) -> None:
    day = 86400
    story = Story(step=60, scrape=60)
    for code, count in (("2xx", lambda minute: minute // 30), ("5xx", lambda minute: float(minute >= 600))):
        labels = {"proxy": "records", "code": code, "traffic": "real"}
        story.scraped(RESPONSES, labels, [float(count(minute)) for minute in range(day // 60)])
    story.never_fired(day - 60, ALERT_BURN, PAGE)
    story.never_fired(day - 60, ALERT_BURN, TICKET)
    story.told(promtool, tmp_path, records(platform), without="30d|remaining|Exhausted")


def test_synthetic_traffic_is_recorded_apart_and_never_pages_for_real_people(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    story = Story(step=30)
    responses(story, HOUR, lambda s: 1, lambda s: 0)
    responses(story, HOUR, lambda s: 0, lambda s: 1, traffic="synthetic")
    story.never_fired(HOUR, ALERT_BURN, PAGE)
    synthetic = {**ANSWERED_SERIES, "traffic": "synthetic"}
    story.expect(
        HOUR, 'slo:errors:ratio1h{traffic="synthetic"}', (selector("slo:errors:ratio1h", synthetic), 1)
    )
    story.told(promtool, tmp_path, records(platform), without=NOT_FOR_PAGES)


def test_series_that_do_not_say_whose_traffic_they_are_count_as_real(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    story = Story(step=30)
    responses(story, HOUR, lambda s: 1, lambda s: 0)
    story.scraped(RESPONSES, {"proxy": "records", "code": "5xx"}, counter(HOUR, lambda s: 1))
    real = selector("slo:errors:ratio1h", ANSWERED_SERIES)
    story.expect(HOUR, 'slo:errors:ratio1h{slo="records-answered"}', (real, 0.5))
    story.fires(HOUR, ALERT_BURN, PAGE)
    story.told(promtool, tmp_path, records(platform), without=NOT_FOR_PAGES)


def test_the_standby_region_names_itself_in_its_alerts(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    story = Story(step=30)
    responses(story, HOUR, lambda s: 0, lambda s: 1)
    story.fires(HOUR, ALERT_BURN, {**PAGE, "region": "fr-gra"})
    story.told(promtool, tmp_path, records(platform, "fr-gra"), without=NOT_FOR_PAGES)


def test_failures_of_which_there_is_no_series_are_none(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    story = Story(step=60)
    story.scraped(
        RESPONSES, {"proxy": "records", "code": "2xx", "traffic": "real"}, counter(HOUR, lambda s: 1)
    )
    for name in (
        "slo:errors:ratio5m",
        "slo:errors:ratio1h",
        "slo:errors:ratio6h",
        "slo:bad_events:increase1m",
    ):
        story.expect(HOUR, f'{name}{{slo="records-answered"}}', (selector(name, ANSWERED_SERIES), 0))
    story.told(promtool, tmp_path, records(platform), without=NOT_FOR_PAGES)
