"""Numbers of budgets as they are read: never more than was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.slo_text import bar, burn, duration, objective, percent, sparkline


@pytest.mark.parametrize(
    ("share", "decimals", "shown"),
    [
        (1.0, 2, "100%"),
        (0.9999999, 2, "99.99%"),
        (0.29, 0, "29%"),
        (0.999, 1, "99.9%"),
        (0.0, 0, "0%"),
        (-0.305, 0, "-31%"),
        (None, 2, "-"),
    ],
)
def test_percent(share: float | None, decimals: int, shown: str) -> None:
    assert percent(share, decimals) == shown


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 5))
def test_what_is_not_all_never_reads_as_all(share: float, decimals: int) -> None:
    shown = percent(share, decimals)
    assert float(shown[:-1]) <= share * 100 + 1e-6
    assert shown != "100%" or share > 1 - 1e-8


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.999, "99.9%"), (0.99, "99%"), (0.9995, "99.95%"), (0.5, "50%"), (0.99999, "99.999%")],
)
def test_objective(share: float, shown: str) -> None:
    assert objective(share) == shown


@pytest.mark.parametrize(
    ("left", "shown"),
    [
        (1.0, "██████████"),
        (0.001, "█░░░░░░░░░"),
        (0.0, "░░░░░░░░░░"),
        (-4.0, "░░░░░░░░░░"),
        (0.75, "████████░░"),
        (None, ""),
    ],
)
def test_any_rest_of_a_budget_shows(left: float | None, shown: str) -> None:
    assert bar(left) == shown


@given(st.lists(st.none() | st.floats(-100, 1), max_size=40))
def test_a_sparkline_has_a_character_for_each_part(history: list[float | None]) -> None:
    line = sparkline(history)
    assert len(line) == len(history)
    assert all((mark == " ") == (left is None) for mark, left in zip(line, history, strict=True))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (3_599, "59 min"),
        (7_980, "2 h 13 min"),
        (93_600, "1 d 2 h"),
        (1e6, "11 d"),
        (None, "-"),
    ],
)
def test_duration(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(("rate", "shown"), [(None, "-"), (0.04, "0.0"), (14.4, "14.4"), (833.4, "833")])
def test_burn(rate: float | None, shown: str) -> None:
    assert burn(rate) == shown
