"""Whatever is done to the lines of a journal is found, and where it was done is said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitalops.evidence.chain import GENESIS, Anchor, FaultKind, canonical, line_of, read_line, seal, verify
from vitalops.evidence.record import Record, RecordKind

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def lines_of(count: int) -> list[bytes]:
    previous, lines = GENESIS, list[bytes]()
    for number in range(1, count + 1):
        record = Record(
            RecordKind.STEP,
            "backup-now-1",
            f"étape {number}",
            "anne",
            data={"seconds": number / 3, "n": number},
        )
        entry = seal(number, NOON + timedelta(seconds=number), record, previous)
        previous = entry.digest
        lines.append(line_of(entry))
    return lines


LINES = lines_of(6)
HEAD = Anchor(6, read_line(LINES[-1]).digest)
WHOLE = b"".join(LINES)


def kinds(lines: list[bytes], *anchors: Anchor) -> list[tuple[int, FaultKind]]:
    return [(fault.number, fault.kind) for fault in verify(lines, anchors)[1]]


def test_a_journal_as_it_was_written_has_no_fault() -> None:
    assert verify(LINES, [HEAD]) == (6, [])
    assert verify([], []) == (0, [])


def test_the_canonical_form_is_what_is_documented() -> None:
    assert canonical({"b": [1, 0.1], "a": "é"}) == '{"a":"\\u00e9","b":[1,0.1]}'
    entry = read_line(LINES[0])
    assert json.loads(LINES[0]).keys() == {
        "number", "at", "kind", "operation", "name", "actor", "target", "reason", "data", "previous", "digest",
    }  # fmt: skip
    assert entry.previous == "0" * 64
    assert line_of(entry) == LINES[0]


@settings(max_examples=200)
@given(st.integers(0, len(WHOLE) * 8 - 1))
def test_any_single_bit_that_changes_is_found(bit: int) -> None:
    changed = bytearray(WHOLE)
    changed[bit // 8] ^= 1 << bit % 8
    assert (
        verify(bytes(changed).splitlines(keepends=True), [HEAD])[1]
        or verify(split(bytes(changed)), [HEAD])[1]
    )
    assert verify(split(bytes(changed)), [HEAD])[1]


def split(whole: bytes) -> list[bytes]:
    """As a file yields lines: at line feeds alone."""
    parts = whole.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


@given(st.sets(st.integers(0, 5), min_size=1))
def test_any_entries_that_are_taken_out_are_missed(gone: set[int]) -> None:
    left = [line for index, line in enumerate(LINES) if index not in gone]
    found = verify(left, [HEAD])[1]
    assert {fault.kind for fault in found} == {FaultKind.MISSING}
    told = " ".join(fault.detail + str(fault.number) for fault in found)
    assert str(min(gone) + 1) in told


@given(st.permutations(range(6)).filter(lambda order: list(order) != list(range(6))))
def test_any_other_order_is_told_as_such(order: list[int]) -> None:
    found = verify([LINES[index] for index in order], [HEAD])[1]
    assert {fault.kind for fault in found} <= {FaultKind.REORDERED, FaultKind.CLOCK}
    assert FaultKind.REORDERED in {fault.kind for fault in found}


def test_each_fault_names_its_entry() -> None:
    rewritten = LINES[2].replace(b"anne", b"noel")
    assert kinds([*LINES[:2], rewritten, *LINES[3:]], HEAD) == [(3, FaultKind.CHANGED)]
    assert kinds([*LINES[:3], *LINES[4:]], HEAD) == [(4, FaultKind.MISSING)]
    assert kinds([*LINES[:2], LINES[3], LINES[2], *LINES[4:]], HEAD) == [(3, FaultKind.REORDERED)]
    assert kinds([*LINES[:3], LINES[2], *LINES[3:]], HEAD) == [(3, FaultKind.REORDERED)]
    assert kinds(LINES[:4], HEAD) == [(5, FaultKind.MISSING)]
    assert kinds([*LINES[:5], LINES[5][:-7]], HEAD) == [(6, FaultKind.TORN), (6, FaultKind.MISSING)]
    assert kinds([*LINES, b"{}\n"], HEAD) == [(7, FaultKind.CHANGED)]


def test_an_entry_that_was_made_anew_with_a_right_digest_breaks_the_chain() -> None:
    old = read_line(LINES[2])
    forged = seal(3, old.at, Record(RecordKind.NOTE, "x", "x", "mallory"), old.previous)
    assert kinds([*LINES[:2], line_of(forged), *LINES[3:]], HEAD) == [(4, FaultKind.CHANGED)]


def test_a_journal_that_was_written_anew_as_a_whole_is_told_by_an_anchor_alone() -> None:
    forged = lines_of(7)[1:]
    previous, anew = GENESIS, list[bytes]()
    for number, line in enumerate(forged, 1):
        entry = seal(number, NOON, read_line(line).record, previous)
        previous = entry.digest
        anew.append(line_of(entry))
    assert kinds(anew) == []
    assert kinds(anew, HEAD) == [(6, FaultKind.CHANGED)]
    # Also where the head was written anew with it.
    forged_head = Anchor(6, read_line(anew[-1]).digest)
    assert kinds(anew, forged_head) == []
    assert kinds(anew, HEAD, forged_head) == kinds(anew, forged_head, HEAD) == [(6, FaultKind.CHANGED)]


def test_a_clock_that_was_set_back_is_told_and_a_small_correction_is_not() -> None:
    def at(*seconds: float) -> list[bytes]:
        previous, lines = GENESIS, list[bytes]()
        for number, second in enumerate(seconds, 1):
            entry = seal(
                number, NOON + timedelta(seconds=second), Record(RecordKind.NOTE, "x", "x", "x"), previous
            )
            previous = entry.digest
            lines.append(line_of(entry))
        return lines

    assert kinds(at(0, 10, 9, 11)) == []
    assert kinds(at(0, 10, 3, 11)) == [(3, FaultKind.CLOCK)]


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":NaN}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
        b"null\n",
        LINES[0].replace(b'"number":1', b'"number":true'),
        LINES[0].replace(b'"n":1', b'"n":1e999'),
        LINES[0].replace(b'"n":1', b'"n": 1'),
        LINES[0].replace(b'"n":1', b'"n":1,"n":1'),
        LINES[0].replace(b"\\u00e9", b"\\u00E9"),
        LINES[0].replace(b"+00:00", b"Z"),
    ],
)
def test_lines_of_anything_are_faults_and_not_exceptions(line: bytes) -> None:
    assert kinds([line])[0] == (1, FaultKind.CHANGED)


@pytest.mark.parametrize(
    "text", ["", "1", "1:abc", f"x:{'0' * 64}", f"-1:{'0' * 64}", f"1:{'G' * 64}", f"²:{'0' * 64}"]
)
def test_what_is_no_anchor(text: str) -> None:
    with pytest.raises(ValueError, match="NUMBER:DIGEST"):
        Anchor.parse(text)


def test_an_anchor_reads_back() -> None:
    assert Anchor.parse(f"{HEAD}\n") == HEAD
