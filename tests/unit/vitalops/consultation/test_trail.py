from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitalops.consultation.state import Head
from vitalops.consultation.trail import _Record, check_links, link_digest  # pyright: ignore[reportPrivateUsage]
from vitalops.consultation.walk import StepFailed

START = Head(sequence=7, digest="a" * 64)


def chained(events: list[str], start: Head = START) -> list[_Record]:
    records: list[_Record] = []
    at = start
    for action in events:
        event = {"action": action, "outcome": "success"}
        digest = link_digest(at.sequence + 1, event, at.digest)
        records.append(_Record(sequence=at.sequence + 1, event=event, previous=at.digest, digest=digest))
        at = Head(sequence=at.sequence + 1, digest=digest)
    return records


def test_a_digest_is_over_canonical_json() -> None:
    text = '{"event":{"a":"é","b":1},"previous":"p","sequence":8}'
    assert link_digest(8, {"b": 1, "a": "é"}, "p") == hashlib.sha256(text.encode()).hexdigest()


def test_an_unbroken_chain_ends_at_its_last_record() -> None:
    records = chained(["x", "y", "z"])
    assert check_links(START, tuple(records)) == Head(sequence=10, digest=records[-1].digest)
    assert check_links(START, ()) == START


names = st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=8)


@given(names, st.data())
def test_any_record_changed_removed_or_moved_is_noticed(events: list[str], data: st.DataObject) -> None:
    records = chained(events)
    at = data.draw(st.integers(0, len(records) - 2))
    changed = records[at].model_copy(update={"event": {**records[at].event, "outcome": "denied"}})
    for broken in (
        [*records[:at], changed, *records[at + 1 :]],
        [*records[:at], *records[at + 1 :]],
        [*records[:at], records[at + 1], records[at], *records[at + 2 :]],
    ):
        with pytest.raises(StepFailed):
            check_links(START, tuple(broken))


def test_a_chain_written_anew_does_not_continue_the_checkpoint() -> None:
    forged = chained(["x", "y"], Head(sequence=7, digest="b" * 64))
    with pytest.raises(StepFailed, match="audit record 8 does not continue"):
        check_links(START, tuple(forged))
