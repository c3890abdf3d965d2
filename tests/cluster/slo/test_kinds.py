"""Each kind of SLI from raw series to its alert: latency, quality, synthetic consultations; and error budgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.slo.harness import Story, counter, gone, only
from vitalops.conventions import ALERT_BURN, ALERT_EXHAUSTED, ALERT_SLI_ABSENT
from vitalops.model.platform import Platform
from vitalops.slo.promql import selector
from vitalops.slo.rules import compile_rules

HOUR = 3600
WITHOUT_DAYS = "increase(2h|1d|3d|30d)|ratio(2h|1d|3d)|remaining|objective|Exhausted"
DURATION = "http_server_request_duration_seconds"
JOINED = "vitalops_consultation_join_duration_seconds"
WALKS = "vitalops_prober_walks_total"


def labels(
    service: str, sli: str, runbook: str, *, traffic: str = "real", severity: str = "page"
) -> dict[str, str]:
    return {**series(service, sli, traffic), "runbook": runbook, "severity": severity}


def series(service: str, sli: str, traffic: str = "real") -> dict[str, str]:
    return {
        "slo": f"{service}-{sli}",
        "sli": sli,
        "service": service,
        "region": "fr-par",
        "pair": "france",
        "traffic": traffic,
    }


def rules(platform: Platform, service: str) -> dict[str, str]:
    return only(compile_rules(platform, "fr-par"), [f"{service}.yaml"])


def test_slow_answers_burn_the_budget_of_promptness_and_probes_do_not(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    """One of five requests is slow from minute 60 on. Health probes, always fast, would hide that.

    20 % of slow answers are 20 times what 99 % allows: 14.4 % of an hour are gone after 43 minutes, and 6 % of all that
    there is of six hours somewhat earlier.
    """
    end, late = 2 * HOUR, HOUR
    story = Story(step=30)
    for route, fast, all_ in (
        ("/fhir", lambda s: 5 if s <= late else 4, lambda s: 5),
        ("/livez", lambda s: 100, lambda s: 100),
    ):
        own = {"service": "records", "http_route": route, "traffic": "real", "pod": "a"}
        story.scraped(f"{DURATION}_bucket", {**own, "le": "0.5"}, counter(end, fast))
        story.scraped(f"{DURATION}_bucket", {**own, "le": "+Inf"}, counter(end, all_))
        story.scraped(f"{DURATION}_count", own, counter(end, all_))
    page = labels("records", "prompt", "scale-out")
    story.silent(late, ALERT_BURN, page)
    ratio = 'round(slo:errors:ratio5m{slo="records-prompt"} * 1000) / 1000'
    story.expect(end, ratio, (selector("", series("records", "prompt")), 0.2))
    story.silent(late + 900, ALERT_BURN, page)
    story.fires(late + 2700, ALERT_BURN, page)
    story.told(promtool, tmp_path, rules(platform, "records"), without=WITHOUT_DAYS)


@pytest.mark.parametrize("bound", ["3", "3.0"])
def test_joining_takes_at_most_three_seconds_however_the_bound_is_written(
    promtool: str, tmp_path: Path, platform: Platform, bound: str
) -> None:
    story = Story(step=60)
    for party in ("patient", "practitioner"):
        own = {"party": party, "traffic": "real", "service": "consultation"}
        story.scraped(f"{JOINED}_bucket", {**own, "le": bound}, counter(HOUR, lambda s: 0.3))
        story.scraped(f"{JOINED}_bucket", {**own, "le": "30.0"}, counter(HOUR, lambda s: 0.4))
        story.scraped(f"{JOINED}_count", own, counter(HOUR, lambda s: 0.4))
    story.fires(HOUR, ALERT_BURN, labels("consultation", "joined-in-time", "drain-media-node"))
    ratio = 'round(slo:errors:ratio1h{slo="consultation-joined-in-time"} * 100) / 100'
    story.expect(HOUR, ratio, (selector("", series("consultation", "joined-in-time")), 0.25))
    story.told(promtool, tmp_path, rules(platform, "consultation"), without=WITHOUT_DAYS)


def test_streams_that_could_not_be_judged_are_neither_good_nor_poor(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    story = Story(step=60)
    for state, each_second in (("good", 0.6), ("poor", 0.2), ("unclassified", 0.2)):
        for media in ("audio", "video"):
            own = {"state": state, "media": media, "traffic": "real", "service": "consultation"}
            story.scraped("vitalops_call_streams_total", own, counter(HOUR, lambda s, rate=each_second: rate))
    quality = series("consultation", "media-quality")
    for at, expression, value in (
        (HOUR, 'round(slo:errors:ratio1h{slo="consultation-media-quality"} * 100) / 100', 0.25),
        (HOUR, 'round(slo:events:increase1m{slo="consultation-media-quality"})', 96),
        (HOUR, 'round(slo:unjudged_events:increase1m{slo="consultation-media-quality"})', 24),
    ):
        story.expect(at, expression, (selector("", quality), value))
    story.told(promtool, tmp_path, rules(platform, "consultation"), without=WITHOUT_DAYS)


def test_synthetic_consultations_that_fail_at_night_page_and_one_does_not(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    """A walk a minute and an objective of 99 %: 14.4 % of an hour have failed after 9 minutes."""
    broken, end = 3 * HOUR, 3 * HOUR + 900
    story = Story(step=15)

    def walked(fails: bool) -> list[float]:
        return counter(end, lambda s: s % 60 == 0 and (s > broken or s == HOUR) == fails)

    for outcome, fails in (("passed", False), ("failed", True)):
        story.scraped(WALKS, {"outcome": outcome, "traffic": "synthetic", "job": "prober"}, walked(fails))
    page = labels("consultation", "synthetic-consultation", "region-failover", traffic="synthetic")
    story.never_fired(broken, ALERT_BURN, page)
    story.silent(broken + 300, ALERT_BURN, page)
    story.fires(broken + 720, ALERT_BURN, page)
    story.told(promtool, tmp_path, rules(platform, "consultation"), without=WITHOUT_DAYS)


@pytest.mark.parametrize("active", [True, False])
def test_a_prober_is_missed_only_where_it_walks(
    promtool: str, tmp_path: Path, platform: Platform, active: bool
) -> None:
    story = Story(step=15)
    passed = counter(HOUR, lambda s: s % 60 == 0)
    story.series[selector(WALKS, {"outcome": "passed", "traffic": "synthetic"})] = gone(passed, 1800)
    story.scraped("patroni_primary", {"pod": "postgres-0"}, [float(active)] * (HOUR // 5))
    page = labels("consultation", "synthetic-consultation", "region-failover", traffic="synthetic")
    if active:
        story.silent(1800 + 165, ALERT_SLI_ABSENT, page)
        story.fires(1800 + 240, ALERT_SLI_ABSENT, page)
    else:
        story.never_fired(HOUR - 30, ALERT_SLI_ABSENT, page)
    story.told(promtool, tmp_path, rules(platform, "consultation"), without=WITHOUT_DAYS)


def test_budgets_are_what_is_left_of_the_bad_events_that_were_allowed(
    promtool: str, tmp_path: Path, platform: Platform
) -> None:
    """10 a second: of 72,000 in two hours 72 may fail and 53 do; of 105,153 in three hours 105 may and 153 do."""
    tiers = {name: tier.model_copy(update={"window_days": 1}) for name, tier in platform.tiers.items()}
    shorter = platform.model_copy(update={"tiers": tiers})
    story = Story(step=60)
    responses = {"proxy": "records", "traffic": "real"}
    name = "haproxy_backend_http_responses_total"
    # Nothing happens in the last five minutes, since promtool runs a step's groups in any order.
    quiet = 3 * HOUR - 300
    story.scraped(name, {**responses, "code": "2xx"}, counter(3 * HOUR, lambda s: 10 * (s <= quiet)))
    failed = counter(3 * HOUR, lambda s: s % 134 == 0 if s <= 2 * HOUR else s <= quiet and s % 33 == 0)
    story.scraped(name, {**responses, "code": "5xx"}, failed)
    left = 'round(slo:error_budget:remaining{slo="records-answered"} * 10) / 10'
    answered = series("records", "answered")
    story.expect(2 * HOUR, left, (selector("", answered), 0.3))
    story.expect(3 * HOUR, left, (selector("", answered), -0.5))
    spent = labels("records", "answered", "service-rollback", severity="ticket")
    story.silent(2 * HOUR, ALERT_EXHAUSTED, spent)
    story.fires(3 * HOUR, ALERT_EXHAUSTED, spent)
    story.says(
        3 * HOUR,
        ALERT_EXHAUSTED,
        spent,
        {
            "summary": "records: the error budget of answered is spent",
            "description": "Objective: 99.9 % over 1 days. Its error budget is spent 1.455 times over.",
            "notices": "requests that the gateway answered without a server error",
            "runbook": "service-rollback",
        },
    )
    # Of a day 2.4 hours must have been measured.
    story.silent(8400, ALERT_EXHAUSTED, spent)
    negative = 'slo:error_budget:remaining{slo="records-answered"} < bool 0'
    story.expect(8400, negative, (selector("", answered), 1))
    story.expect(3 * HOUR, 'slo:error_budget:remaining{slo="records-prompt"}')
    story.told(promtool, tmp_path, rules(shorter, "records"))
