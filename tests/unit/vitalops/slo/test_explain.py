"""What is told of an objective, checked against the published theory."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from vitalops.errors import UsageError
from vitalops.model.loader import load_platform
from vitalops.slo.explain import explain, find
from vitalops.slo.objectives import Slo, objectives_of
from vitalops.slo.windows import bundled_windows


@pytest.fixture(scope="module")
def slos() -> tuple[Slo, ...]:
    return objectives_of(load_platform(Path(__file__).parents[4] / "platform.yaml", date(2026, 11, 22)))


def test_a_full_outage_at_three_nines_pages_after_52_seconds(slos: tuple[Slo, ...]) -> None:
    told = explain(find(slos, "records-answered"), bundled_windows())
    fastest = told.conditions[0]
    assert (fastest.severity, fastest.long, fastest.short) == ("page", "1h", "5m")
    assert fastest.burn == pytest.approx(14.4)
    assert fastest.detects_outage_in == pytest.approx(51.84)
    assert told.full_outage == pytest.approx(43.2 * 60)
    assert told.bad is not None
    assert 'proxy="records"' in told.total


def test_what_does_not_page_has_no_pages(slos: tuple[Slo, ...]) -> None:
    told = explain(find(slos, "audit-answered"), bundled_windows())
    assert {condition.severity for condition in told.conditions} == {"ticket"}


def test_every_objective_can_be_explained(slos: tuple[Slo, ...]) -> None:
    for slo in slos:
        told = explain(slo, bundled_windows())
        assert (told.good is None) != (told.bad is None)
        times = [round(each.detects_outage_in, 6) for each in told.conditions]
        assert times == sorted(times)


def test_a_name_that_is_none(slos: tuple[Slo, ...]) -> None:
    with pytest.raises(UsageError, match="records-answered"):
        find(slos, "records-answerd")
