from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import context
from cli.output import colours, emit, jsonable, paint, table
from vitalops.model.resources import Resources


class Light(Enum):
    RED = "red"


@dataclass(frozen=True)
class Sample:
    name: str
    parts: tuple[Any, ...]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    context.reset()
    for variable in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(variable, raising=False)


def test_the_same_data_is_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    sample = Sample("é", (1,))
    emit(sample, lambda data: f"name {data.name}")
    assert capsys.readouterr().out == "name é\n"
    context.choose_output("json")
    emit(sample, lambda data: f"name {data.name}")
    assert json.loads(capsys.readouterr().out) == {"name": "é", "parts": [1]}


def test_nothing_to_say_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    emit([], lambda data: "")
    assert capsys.readouterr().out == ""


def test_everything_that_has_an_evident_json_form_gets_it() -> None:
    assert jsonable(
        {
            Light.RED: Sample("x", (Light.RED, None, True, 1.5)),
            "when": [date(2026, 1, 2), datetime(2026, 1, 2, 3, tzinfo=UTC), timedelta(minutes=1)],
            "where": Path("/a/b"),
            "which": {"b", "a"},
            "model": Resources(cpu="50m", memory="1Gi"),
        }
    ) == {
        "red": {"name": "x", "parts": ["red", None, True, 1.5]},
        "when": ["2026-01-02", "2026-01-02T03:00:00+00:00", 60.0],
        "where": "/a/b",
        "which": ["a", "b"],
        "model": {"cpu": "50m", "memory": "1Gi"},
    }
    with pytest.raises(TypeError, match="object"):
        jsonable(object())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_json_data_stays_as_it_is(data: Any) -> None:
    assert jsonable(data) == data
    assert json.loads(json.dumps(jsonable(data))) == data


def test_colours_are_for_terminals_and_can_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, pipe = Terminal(), io.StringIO()
    assert paint("x", "red", terminal) == "\x1b[31mx\x1b[0m"
    assert paint("x", "red", pipe) == "x"
    monkeypatch.setenv("TERM", "dumb")
    assert not colours(terminal)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert colours(pipe)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours(terminal)


def test_a_table_is_aligned() -> None:
    assert table(("name", "n"), [("fr-par", 1), ("a", 22)]) == "NAME    N\nfr-par  1\na       22"
    assert table(("name",), []) == "NAME"
