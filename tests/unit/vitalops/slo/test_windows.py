"""The bundled windows are the Workbook's, and a file that contradicts itself is refused by name."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from vitalops.errors import UsageError
from vitalops.slo.windows import FILE, bundled_windows, read_windows


def test_the_bundled_windows_are_those_of_the_workbook() -> None:
    found = [
        (each.severity, each.long_name, each.short_name, each.burn(30), float(each.budget_spent))
        for each in bundled_windows().all
    ]
    assert found == [
        ("page", "1h", "5m", 14.4, 0.02),
        ("page", "6h", "30m", 6.0, 0.05),
        ("ticket", "1d", "2h", 3.0, 0.1),
        ("ticket", "3d", "6h", 1.0, 0.1),
    ]


@pytest.mark.parametrize("days", [7, 14, 28, 30, 60, 90])
def test_burn_spends_the_same_share_of_a_budget_of_any_length(days: int) -> None:
    for window in bundled_windows().all:
        burn = window.burn(days)
        spent = burn * window.long / (days * 86400)
        assert burn == 1 or spent == pytest.approx(float(window.budget_spent))
        assert burn >= 1, "slower burn leaves budget"


def test_the_longer_the_window_the_slower_the_burn() -> None:
    for shorter, longer in pairwise(sorted(bundled_windows().all, key=lambda each: each.long)):
        for days in (7, 30, 90):
            assert shorter.burn(days) >= longer.burn(days)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('short = "5m"', 'short = "1h"', "window 1h: its short window 1h is not shorter"),
        ('short = "5m"', 'short = "90s"', "window 1h: windows must be of whole minutes"),
        ('short = "5m"', 'short = "45m"', "at least twice its short window"),
        ('short = "30m"', 'short = "5m"', "window 6h: its short window must be longer than 5m"),
        ('long = "6h"', 'long = "1h"', "window 1h is there twice"),
        ("budget_spent = 0.05", "budget_spent = 0.5", "window 6h: its burn rate must be below that of 1h"),
        ('severity = "page"', 'severity = "ticket"', "slower burn than a ticket's cannot be a page"),
        (
            'evaluated = "scrape"',
            'evaluated = "1m"',
            "exactly one window must be evaluated with every scrape",
        ),
        ('long = "6h"', 'long = "6 hours"', "'6 hours' is no duration"),
        ("significance = 0.01", "significance = 0.6", "significance"),
        ("minimum_failures = 10", "minimum_failures = 0", "minimum_failures"),
        ("minimum_failures = 10", "minimum = 10", "minimum"),
        ("[[window]]", "[[window", "line"),
    ],
)
def test_windows_that_contradict_one_another_are_refused(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    text = FILE.read_text()
    assert old in text
    file = tmp_path / "windows.toml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        read_windows(file)
    assert problem in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_windows(tmp_path / "windows.toml")
