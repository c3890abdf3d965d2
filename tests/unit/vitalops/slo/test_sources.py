"""What counts as an event and as a failure, for each kind of SLI."""

from __future__ import annotations

import pytest

from vitalops.model.slo import LatencySli, QualitySli, RatioSli, Selector, Sli
from vitalops.slo.objectives import Slo
from vitalops.slo.sources import Source, bound_forms, metrics_of, source_of, tiled

COMMON = {"description": "x", "runbook": "x"}


def source(sli: Sli) -> Source:
    return source_of(Slo("records", "x", sli, 0.99, 30, True))


def test_a_ratio_names_its_service_and_quotes_its_values() -> None:
    total = Selector(metric="total", labels={"proxy": ("{service}",)}, without={"path": ("/a.b", "/c")})
    bad = Selector(metric="bad", labels={"code": ("5xx",)})
    found = source(RatioSli(kind="ratio", total=total, bad=bad, **COMMON))
    assert found == Source(
        total='total{proxy="records",path!~"/a\\\\.b|/c"}',
        bad='bad{code="5xx"}',
        good=None,
        unjudged=None,
        presence='total{proxy="records"}',
    )


def test_a_latency_is_its_bucket_of_its_count() -> None:
    histogram = Selector(metric="wait_seconds", without={"route": ("/livez",)})
    found = source(LatencySli(kind="latency", histogram=histogram, threshold_ms=3000, **COMMON))
    assert found.total == 'wait_seconds_count{route!="/livez"}'
    assert found.good == 'wait_seconds_bucket{route!="/livez",le=~"3|3\\\\.0"}'
    assert found.presence == "wait_seconds_count", (
        "that probes are not counted does not make the service absent"
    )


def test_quality_leaves_out_what_could_not_be_judged() -> None:
    found = source(QualitySli(kind="quality", streams=Selector(metric="streams"), **COMMON))
    assert found.total == 'streams{state=~"good|poor"}'
    assert found.bad == 'streams{state="poor"}'
    assert found.unjudged == 'streams{state!~"good|poor"}'
    assert found.presence == "streams"


@pytest.mark.parametrize(
    ("milliseconds", "forms"),
    [
        (500, ("0.5",)),
        (3000, ("3", "3.0")),
        (100, ("0.1",)),
        (2500, ("2.5",)),
        (60_000, ("60", "60.0")),
        (5, ("0.005",)),
    ],
)
def test_a_bound_as_prometheus_and_its_clients_write_it(milliseconds: int, forms: tuple[str, ...]) -> None:
    assert bound_forms(milliseconds) == forms


def test_minutes_lie_side_by_side() -> None:
    expression = tiled(60, 5)("x_total")
    assert "(x_total offset 5s - x_total offset 1m5s >= 0) or increase(x_total[1m] offset 5s)" in expression


def test_metrics_of_an_sli_each_once() -> None:
    total = Selector(metric="total")
    assert metrics_of(RatioSli(kind="ratio", total=total, good=Selector(metric="total"), **COMMON)) == (
        "total",
    )
