"""A region's Prometheus: its recorded answers, and everything that is none."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.unit.vitalops.observe.conftest import Recorded
from vitalops.errors import RemoteError, UsageError
from vitalops.observe.freshness import NEWEST_SCRAPE, age_of_data, require_fresh
from vitalops.observe.prometheus import MOST_POINTS, PrometheusMetrics
from vitalops.ports.metrics import FakeMetrics, Sample

QUERY = "/api/v1/query"
RANGE = "/api/v1/query_range"
UP = {"__name__": "up", "job": "peer", "region": "fr-par"}
# As a Kubernetes API server answers for a Service that has no pods.
NOT_READY = json.dumps(
    {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'no endpoints available for service "prometheus"',
        "reason": "ServiceUnavailable",
        "code": 503,
    }
)
NOT_THERE = json.dumps(
    {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'services "prometheus" not found',
        "reason": "NotFound",
        "details": {"name": "prometheus", "kind": "services"},
        "code": 404,
    }
)
FORBIDDEN = json.dumps({"kind": "Status", "message": 'services "prometheus" is forbidden', "code": 403})
BAD = json.dumps({"status": "error", "errorType": "bad_data", "error": "1:4: parse error: unexpected end"})


def result(kind: str, found: Any) -> tuple[int, str]:
    return 200, json.dumps({"status": "success", "data": {"resultType": kind, "result": found}})


@pytest.fixture
def metrics(recorded: Recorded, session: requests.Session) -> PrometheusMetrics:
    return PrometheusMetrics("fr-par", recorded.url, session, timeout=2.0)


def test_values_with_their_labels_and_times(metrics: PrometheusMetrics, recorded: Recorded) -> None:
    recorded.give(QUERY, result("vector", [{"metric": UP, "value": [1795382728.901, "1"]}]))
    at = datetime(2026, 11, 22, 21, 25, tzinfo=UTC)
    (sample,) = metrics.instant("up", at)
    assert (sample.labels, sample.value) == (UP, 1.0)
    assert sample.time == datetime.fromtimestamp(1795382728.901, UTC)
    assert recorded.asked == [(QUERY, {"query": "up", "time": f"{at.timestamp():.3f}"})]


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_is_not_made_one(text: str, metrics: PrometheusMetrics, recorded: Recorded) -> None:
    recorded.give(QUERY, result("vector", [{"metric": {}, "value": [1795382728.9, text]}]))
    (sample,) = metrics.instant("vector(0)/0")
    assert not math.isfinite(sample.value)


def test_a_scalar_is_one_value_without_labels(metrics: PrometheusMetrics, recorded: Recorded) -> None:
    recorded.give(QUERY, result("scalar", [1795382728.917, "2"]))
    (sample,) = metrics.instant("scalar(vector(2))")
    assert (sample.labels, sample.value) == ({}, 2.0)


def test_nothing_is_nothing_and_not_zero(metrics: PrometheusMetrics, recorded: Recorded) -> None:
    recorded.give(QUERY, result("vector", []), result("matrix", []))
    assert metrics.instant("absent_metric") == ()


def test_a_range_selector_is_refused_as_an_instant(metrics: PrometheusMetrics, recorded: Recorded) -> None:
    recorded.give(QUERY, result("matrix", [{"metric": UP, "values": [[1795382723.6, "1"]]}]))
    with pytest.raises(UsageError, match="gives ranges"):
        metrics.instant("up[10s]")


def test_a_range_is_asked_in_whole_seconds(metrics: PrometheusMetrics, recorded: Recorded) -> None:
    recorded.give(RANGE, result("matrix", [{"metric": UP, "values": [[1795382717, "1"], [1795382722, "0"]]}]))
    start = datetime.fromtimestamp(1795382717, UTC)
    (series,) = metrics.range("up", start, start + timedelta(seconds=9), timedelta(seconds=5))
    assert series.points == ((start, 1.0), (start + timedelta(seconds=5), 0.0))
    assert recorded.asked == [
        (RANGE, {"query": "up", "start": "1795382717", "end": "1795382726", "step": "5"})
    ]


def test_a_long_range_is_asked_in_pieces_that_neither_overlap_nor_miss(
    metrics: PrometheusMetrics, recorded: Recorded
) -> None:
    start, step = datetime(2026, 11, 1, tzinfo=UTC), timedelta(seconds=60)
    end = start + 2 * MOST_POINTS * step
    recorded.give(RANGE, result("matrix", []))
    metrics.range("up", start, end, step)
    asked = [(int(seen["start"]), int(seen["end"])) for _, seen in recorded.asked]
    assert len(asked) == 3
    points = [moment for begin, until in asked for moment in range(begin, until + 1, 60)]
    assert points == list(range(int(start.timestamp()), int(end.timestamp()) + 1, 60))
    assert all((until - begin) // 60 + 1 <= MOST_POINTS for begin, until in asked)


def test_pieces_of_one_series_are_joined(metrics: PrometheusMetrics, recorded: Recorded) -> None:
    start, step = datetime(2026, 11, 1, tzinfo=UTC), timedelta(seconds=60)
    first, second = int(start.timestamp()), int((start + MOST_POINTS * step).timestamp())
    recorded.give(
        RANGE,
        result("matrix", [{"metric": UP, "values": [[first, "1"]]}]),
        result("matrix", [{"metric": UP, "values": [[second, "0"]]}]),
    )
    (series,) = metrics.range("up", start, start + MOST_POINTS * step, step)
    assert [value for _, value in series.points] == [1.0, 0.0]


@pytest.mark.parametrize("step", [timedelta(milliseconds=500), timedelta(seconds=1.5)])
def test_steps_are_whole_seconds(step: timedelta, metrics: PrometheusMetrics) -> None:
    now = datetime.now(UTC)
    with pytest.raises(UsageError, match="whole seconds"):
        metrics.range("up", now, now + timedelta(minutes=1), step)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((503, NOT_READY), "region fr-par: Prometheus is not ready: no endpoints available"),
        ((404, NOT_THERE), "region fr-par: Prometheus is not installed .*vitalops up fr-par"),
        ((403, FORBIDDEN), "region fr-par: these credentials may not ask Prometheus"),
        ((400, BAD), "region fr-par: Prometheus refused the question: 1:4: parse error"),
        ((502, "<html>bad gateway</html>"), "region fr-par: Prometheus answered 502"),
        (
            (200, "<html>a login page</html>"),
            "region fr-par: Prometheus answered with something that is no JSON",
        ),
        ((200, "{}"), "region fr-par: Prometheus gave no result"),
        ((200, '{"status": "success", "data": {"result": [{"metric": {}}]}}'), "gives ranges"),
    ],
)
def test_what_is_no_answer_is_said_in_one_line(
    answer: tuple[int, str], says: str, metrics: PrometheusMetrics, recorded: Recorded
) -> None:
    recorded.give(QUERY, answer)
    with pytest.raises((RemoteError, UsageError), match=says) as raised:
        metrics.instant("up")
    assert "\n" not in str(raised.value)
    assert len(recorded.asked) == 1, "asked once: whoever waits decides whether to ask again"


def test_silence_is_said_with_the_region(metrics: PrometheusMetrics, recorded: Recorded) -> None:
    recorded.fall_silent = True
    with pytest.raises(RemoteError, match="region fr-par: Prometheus is not reached"):
        metrics.instant("up")


def test_the_sessions_own_way_to_the_server_stays(recorded: Recorded, session: requests.Session) -> None:
    own = HTTPAdapter()
    session.mount("http://", own)
    PrometheusMetrics("fr-par", recorded.url, session)
    assert session.get_adapter(recorded.url + QUERY) is own


def fresh(age: float | None) -> FakeMetrics:
    samples = () if age is None else (Sample({}, age, datetime.now(UTC)),)
    return FakeMetrics("fr-gra", {NEWEST_SCRAPE: samples})


def test_the_age_of_the_newest_scrape() -> None:
    assert age_of_data(fresh(3.5)) == timedelta(seconds=3.5)
    assert age_of_data(fresh(-0.2)) == timedelta()
    assert require_fresh(fresh(15.0), 5) == timedelta(seconds=15)


@pytest.mark.parametrize(
    ("age", "says"), [(15.1, "region fr-gra: its newest measurement is 15 s old"), (None, "measured nothing")]
)
def test_old_figures_are_said_to_be_old(age: float | None, says: str) -> None:
    with pytest.raises(RemoteError, match=says):
        require_fresh(fresh(age), 5)
