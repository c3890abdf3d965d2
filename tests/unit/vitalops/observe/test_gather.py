"""Several regions at once, and spans of time as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitalops.errors import RemoteError, UsageError
from vitalops.observe.durations import parse_duration, shown
from vitalops.observe.gather import gather


def broken() -> str:
    raise RemoteError("region b: gone")


def test_what_answers_and_what_does_not_are_kept_apart() -> None:
    found = gather({"a": lambda: "x", "b": broken, "c": lambda: "y"}, str.upper)
    assert dict(found.answers) == {"a": "X", "c": "Y"}
    assert list(found.unreachable) == ["b"]
    found.require_one()


def test_nothing_but_failures_is_a_failure() -> None:
    with pytest.raises(RemoteError, match="region b: gone"):
        gather({"b": broken}, str.upper).require_one()
    gather({}, str.upper).require_one()


def test_other_errors_are_raised() -> None:
    def ask(_: str) -> str:
        raise UsageError("no such thing")

    with pytest.raises(UsageError, match="no such thing"):
        gather({"a": lambda: "x"}, ask)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("45s", timedelta(seconds=45)),
        ("1.5h", timedelta(minutes=90)),
        (" 7d ", timedelta(days=7)),
        ("2w", timedelta(days=14)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert parse_duration(text, "--since") == expected


@pytest.mark.parametrize("text", ["", "soon", "0s", "-5m", "5", "5 m", "1e3s", "999999w", "5m\n5m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--since .* is no span of time"):
        parse_duration(text, "--since")


@given(st.integers(1, 9000), st.sampled_from(["ms", "s", "m", "h"]))
def test_every_duration_is_positive_and_can_be_shown(number: int, unit: str) -> None:
    span = parse_duration(f"{number}{unit}", "--slow")
    assert span > timedelta()
    assert shown(span)


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(0.42, "0.42 ms"), (52.1, "52.1 ms"), (1250, "1.25 s"), (125_000, "2 min 5 s"), (59_999, "60.00 s")],
)
def test_shown(milliseconds: float, expected: str) -> None:
    assert shown(timedelta(milliseconds=milliseconds)) == expected
