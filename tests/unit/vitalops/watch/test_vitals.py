"""One query for all that a region's line shows."""

from __future__ import annotations

from datetime import UTC, datetime

from vitalops.ports.metrics import FakeMetrics, Sample
from vitalops.slo.catalogue import exported
from vitalops.watch.snapshot import Vitals
from vitalops.watch.vitals import METRICS, query, vitals

NOW = datetime(2026, 11, 22, 21, 0, tzinfo=UTC)


def answering(**values: float) -> FakeMetrics:
    samples = tuple(Sample({"vital": name}, value, NOW) for name, value in values.items())
    return FakeMetrics("fr-par", {query("fr-par"): samples})


def test_what_is_there_is_read() -> None:
    found = vitals(
        answering(
            age=2.5, requests=12.0, errors=0.25, in_call=3, waiting=1, lag=4, streaming=0, last_walk=1.0
        ),
        "fr-par",
    )
    assert found == Vitals(
        age=2.5,
        requests=12.0,
        errors=0.25,
        in_call=3,
        waiting=1,
        lag=4,
        streaming=False,
        last_walk=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
    )


def test_what_is_not_there_is_not_zero() -> None:
    metrics = FakeMetrics("fr-par")
    assert vitals(metrics, "fr-par") == Vitals()
    assert len(metrics.asked) == 1


def test_a_prober_that_has_not_walked_yet_and_what_is_no_number() -> None:
    assert vitals(answering(last_walk=0, errors=float("nan")), "fr-par") == Vitals()


def test_a_region_is_asked_for_its_own_series_only() -> None:
    assert query("fr-gra").count('region="fr-gra"') >= 9


def test_only_metrics_that_are_exported_are_asked_for() -> None:
    assert [name for name in METRICS if exported(name) is None] == []
