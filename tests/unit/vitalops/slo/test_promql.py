"""Text from a platform file stays text in an expression."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vitalops.slo.promql import duration, literal, matcher, number, quoted, seconds_of, selector


@given(st.text(max_size=20))
def test_quoted_text_is_itself_again_in_yaml(text: str) -> None:
    line = quoted(text)
    assert line.isprintable()
    assert yaml.safe_load(line) == text or any(0xD800 <= ord(each) < 0xE000 for each in text)


@given(st.text(max_size=20).filter(str.isprintable))
def test_quoted_text_is_itself_again_where_go_and_json_agree(text: str) -> None:
    assert json.loads(quoted(text)) == text


@given(st.text(max_size=12), st.text(max_size=12))
def test_a_literal_matches_itself_only(text: str, other: str) -> None:
    assert re.fullmatch(literal(text), text, re.DOTALL)
    assert (re.fullmatch(literal(text), other, re.DOTALL) is not None) == (text == other)


def test_matchers() -> None:
    assert matcher("code", ["5xx"]) == 'code="5xx"'
    assert matcher("route", ["/a.b", "/c"], equal=False) == 'route!~"/a\\\\.b|/c"'
    assert selector("up", {"job": 'x"} or vector(1) #'}) == 'up{job="x\\"} or vector(1) #"}'
    assert selector("up") == "up"


@given(st.integers(1, 10**7))
def test_durations_add_up(seconds: int) -> None:
    parts = re.findall(r"([0-9]+)([dhms])", duration(seconds))
    assert sum(int(count) * seconds_of(f"1{unit}") for count, unit in parts) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "0m", "5min", "1h30m", "-1m", "1.5h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds_of(text)


@given(st.floats(1e-9, 1e9))
def test_numbers_have_no_exponent_and_read_back(value: float) -> None:
    text = number(value)
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)?", text)
    assert float(text) == pytest.approx(value, rel=1e-9)


def test_numbers_are_short() -> None:
    assert [number(each) for each in (14.4, 6.0, 0.001, 9.5, 1e-6)] == [
        "14.4",
        "6",
        "0.001",
        "9.5",
        "0.000001",
    ]
