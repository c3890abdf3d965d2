from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitalops.model.source import MAXIMUM_VALUES, read_document


def test_lines_are_those_of_the_keys() -> None:
    document = read_document(b"a: 1\nb:\n  c: x\n  d:\n    - 1\n    - e: 2\n")
    assert document.data == {"a": 1, "b": {"c": "x", "d": [1, {"e": 2}]}}
    assert document.line(("b",)) == 2
    assert document.line(("b", "d", 1, "e")) == 6
    assert document.line(("b", "d", 7)) == 4, "what is not there is reported at what is around it"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"v: NO", "NO"),
        (b"v: on", "on"),
        (b"v: 12:30", "12:30"),
        (b"v: 2028-05-31", "2028-05-31"),
        (b"v: 0x1F", "0x1F"),
        (b"v: 1_000", "1_000"),
        (b"v: .nan", ".nan"),
        (b"v: true", True),
        (b"v: 017", 17),
        (b"v: -3", -3),
        (b"v: 0.5", 0.5),
        (b"v: 1e3", 1000.0),
        (b"v: ~", None),
        (b"v:", None),
        (b'v: "8"', "8"),
        (b"v: " + b"9" * 400, "9" * 400),
    ],
)
def test_scalars_are_those_of_json(text: bytes, value: object) -> None:
    document = read_document(text)
    assert document.flaws == []
    assert document.data == {"v": value}


def test_a_key_given_twice_is_reported_with_both_lines() -> None:
    (flaw,) = read_document(b"a: 1\nb: 2\na: 3\n").flaws
    assert (flaw.line, flaw.pointer) == (3, ("a",))
    assert "first on line 1" in flaw.problem


def test_merge_keys_keep_explicit_values_and_the_lines_of_their_source() -> None:
    document = read_document(b"base: &b\n  p: 1\n  q: 2\nuse:\n  <<: *b\n  q: 3\n")
    assert document.data["use"] == {"p": 1, "q": 3}
    assert document.line(("use", "p")) == 2
    assert document.line(("use", "q")) == 6


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (b"", 1, "is empty"),
        (b"# nothing\n", 1, "is empty"),
        (b"a: [1\nb: 2\n", 2, "not YAML"),
        (b"a:\n\tb: 1\n", 2, "tab"),
        (b"a: 1\n---\nb: 2\n", 2, "second document"),
        (b"x: 1\na: *nowhere\n", 2, "alias"),
        (b"a: 1\nb: \xff\n", 2, "UTF-8"),
        (b"a: 1\nb: \x07\n", 2, "character"),
        (b"a: !!python/object/apply:os.system [id]\n", 1, "tag"),
        (b"a: 1\nb: !!int x\n", 2, "tag"),
        (b"a: !!float 1.2.3\n", 1, "tag"),
        (b"? [a]\n: 1\n", 1, "key"),
        (b"<<: 3\n", 1, "merges"),
        (b"a: 1\nb: &b {c: *b}\n", 2, "itself"),
        (b"[" * 5000, 1, "nested too deeply"),
    ],
)
def test_bad_text_is_told_with_its_line(text: bytes, line: int, words: str) -> None:
    document = read_document(text)
    (flaw,) = document.flaws
    assert words in flaw.problem
    assert (document.line_of(flaw)) == line


def test_an_alias_bomb_is_stopped_early() -> None:
    levels = [b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 30)]
    began = time.monotonic()
    (flaw,) = read_document(b"a0: &a0 [x]\n" + b"".join(levels)).flaws
    assert str(MAXIMUM_VALUES) in flaw.problem
    assert time.monotonic() - began < 20


@given(st.binary(max_size=200))
def test_no_bytes_raise(content: bytes) -> None:
    document = read_document(content)
    assert document.flaws or document.lines


@given(st.text(alphabet="ab:-[]{}&*!<>|'\"#,?%@ \n\t~", max_size=60))
def test_no_text_raises(content: str) -> None:
    document = read_document(content.encode())
    assert all((document.line_of(flaw)) >= 1 for flaw in document.flaws)
