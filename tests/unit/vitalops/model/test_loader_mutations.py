"""Whatever is done to the bundled file, it loads or its faults are told with lines that exist."""

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.unit.vitalops.model.conftest import TODAY
from vitalops.errors import SpecErrors
from vitalops.model.loader import parse_platform

BUNDLED = Path(ROOT / "platform.yaml").read_text()
LINES = BUNDLED.splitlines(keepends=True)
ENTRY_LINES = [index for index, line in enumerate(LINES) if ":" in line and not line.startswith("#")]
WORDS = [
    "true",
    "null",
    "-1",
    "3",
    "0.5",
    "[]",
    "{}",
    "x",
    '"8"',
    "[a, b]",
    "{a: 1}",
    "*standard",
    "!!int 3",
    "99999999",
]


def outcome(text: str) -> tuple[str, ...]:
    """The pointers of the file's faults; fails where a fault has no line of the file, problem or hint."""
    try:
        parse_platform(text.encode(), "platform.yaml", TODAY)
    except SpecErrors as error:
        assert error.faults
        last = text.rstrip("\n").count("\n") + 1
        for fault in error.faults:
            assert 1 <= fault.line <= last, fault
            assert fault.problem, fault
            assert fault.hint, fault
            assert str(fault).isprintable(), fault
        return tuple(fault.pointer for fault in error.faults)
    return ()


@given(st.integers(0, len(BUNDLED)), st.integers(0, 12), st.text(max_size=6))
@example(0, 0, "\0")
@example(len(BUNDLED), 0, "\n\tx")
def test_any_cut_and_paste(position: int, removed: int, added: str) -> None:
    added = added.encode("utf-8", "ignore").decode()
    outcome(BUNDLED[:position] + added + BUNDLED[position + removed :])


@given(st.sampled_from(ENTRY_LINES), st.sampled_from(WORDS))
def test_any_value_replaced(index: int, word: str) -> None:
    key = LINES[index].split(":")[0]
    outcome("".join([*LINES[:index], f"{key}: {word}\n", *LINES[index + 1 :]]))


@given(st.sampled_from(ENTRY_LINES))
def test_any_line_lost(index: int) -> None:
    outcome("".join(LINES[:index] + LINES[index + 1 :]))


@given(st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1))
def test_any_two_lines_swapped(first: int, second: int) -> None:
    lines = list(LINES)
    lines[first], lines[second] = lines[second], lines[first]
    outcome("".join(lines))


@given(st.sampled_from([index for index in ENTRY_LINES if not LINES[index].lstrip().startswith("-")]))
def test_a_misspelt_key_is_found_on_its_line(index: int) -> None:
    """Keys are misspelt so that no key, name or rule knows them."""
    indent = len(LINES[index]) - len(LINES[index].lstrip())
    misspelt = LINES[index][:indent] + "zz_" + LINES[index][indent:]
    text = "".join([*LINES[:index], misspelt, *LINES[index + 1 :]])
    try:
        parse_platform(text.encode(), "platform.yaml", TODAY)
    except SpecErrors as error:
        assert any(fault.line == index + 1 and "zz_" in fault.pointer for fault in error.faults), error.faults
    else:
        raise AssertionError("a file with an unknown key was accepted")
