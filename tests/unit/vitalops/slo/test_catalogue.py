"""The catalogue says of every metric what its exporter says of it."""

from __future__ import annotations

import re

import pytest

from infra.components.telemetry import scrape
from services.common import metric_names
from services.consultation import metrics as consultation
from services.notification import metrics as notification
from vitalops.consultation.walk import Outcome
from vitalops.conventions import JOB_DATABASE, JOB_GATEWAY, JOB_PROBER, JOB_SERVICES
from vitalops.model.platform import Platform
from vitalops.prober.metrics import ProberMetrics
from vitalops.slo.catalogue import CATALOGUE, exported, exporter_of
from vitalops.slo.objectives import objectives_of
from vitalops.slo.sources import metrics_of

BOUNDS = {
    metric_names.REQUEST_DURATION: metric_names.DURATION_BOUNDS,
    metric_names.CLIENT_DURATION: metric_names.DURATION_BOUNDS,
    metric_names.CONSULTATION_JOIN: consultation.JOIN_BOUNDS,
    metric_names.CONSULTATION_MEDIA: consultation.JOIN_BOUNDS,
    metric_names.CALL_LOSS: consultation.RATIO_BOUNDS,
    metric_names.CALL_JITTER: consultation.JITTER_BOUNDS,
    metric_names.CALL_RTT: consultation.RTT_BOUNDS,
    metric_names.CALL_MOS: consultation.MOS_BOUNDS,
    metric_names.CALL_FREEZE: consultation.RATIO_BOUNDS,
    metric_names.MONITOR_ALERT_DELIVERY: notification.BOUNDS,
}


def of_job(job: str) -> set[str]:
    return {each.name for each in CATALOGUE.values() if each.job == job}


def test_the_services_metrics_are_those_that_they_export() -> None:
    named = {
        value
        for name, value in vars(metric_names).items()
        if isinstance(value, str) and name.isupper() and not name.startswith("LABEL_")
    }
    assert of_job(JOB_SERVICES) == named


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_bounds_of_the_services_histograms(name: str) -> None:
    assert CATALOGUE[name].bounds == tuple(BOUNDS[name])


def test_every_histogram_of_the_services_is_compared() -> None:
    assert {each.name for each in CATALOGUE.values() if each.job == JOB_SERVICES and each.bounds} == set(
        BOUNDS
    )


def test_the_prober_s_metrics_and_bounds() -> None:
    families = {family.name: family for family in ProberMetrics(("sign-in",)).registry.collect()}
    for each in CATALOGUE.values():
        if each.job == JOB_PROBER:
            family = families[each.name.removesuffix("_total")]
            bounds = {float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels}
            assert bounds - {float("inf")} == set(each.bounds)
    assert len(list(Outcome)) > 1, "walks pass and fail"


def test_what_the_gateway_exports_is_kept_when_it_is_scraped() -> None:
    kept = re.compile("|".join(scrape.KEPT_OF_GATEWAY))
    for name in of_job(JOB_GATEWAY):
        assert kept.fullmatch(name), name


def test_suffixes_belong_to_histograms_only() -> None:
    assert exporter_of("http_server_request_duration_seconds_count") == JOB_SERVICES
    assert exporter_of("patroni_primary") == JOB_DATABASE
    assert exported("vitalops_call_streams_total_count") is None
    assert exported("unheard_of") is None


def test_every_bundled_sli_is_measured_by_something_known(bundled: Platform) -> None:
    for slo in objectives_of(bundled):
        for metric in metrics_of(slo.sli):
            assert exported(metric), metric
