"""Acknowledged against found: by examples and by its laws."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from vitalops.ledger.compare import Numbered, compare
from vitalops.ledger.entries import Entry, Found, Kind, Outcome, content, number_in

SUBJECT = "5b0c"


def entry(
    number: int, outcome: Outcome = Outcome.ACKNOWLEDGED, kind: Kind = Kind.NOTE, subject: str = SUBJECT
) -> Entry:
    made = f"{kind}-{subject}-{number}" if outcome is Outcome.ACKNOWLEDGED else ""
    return Entry(kind, subject, number, float(number), number + 0.5, outcome, made)


def found(number: int, kind: Kind = Kind.NOTE, subject: str = SUBJECT, *, at: float | None = None) -> Found:
    return Found(kind, subject, number, f"{kind}-{subject}-{number}", number + 0.2 if at is None else at)


def test_a_platform_that_keeps_everything_once_has_no_findings() -> None:
    result = compare([entry(1), entry(2)], [found(2), found(1)])
    assert result.holds
    assert result.summary == "2 of 2 writes acknowledged, 0 lost, 0 duplicated, 0 out of order"


def test_an_acknowledged_write_that_is_not_there_is_lost() -> None:
    result = compare([entry(1), entry(2)], [found(1)])
    assert result.lost == (Numbered(Kind.NOTE, SUBJECT, 2),)
    assert not result.holds
    assert result.subjects[0].lost == 1


def test_one_that_was_made_anew_under_another_id_is_lost_too() -> None:
    result = compare([entry(1)], [replace(found(1), id="another")])
    assert result.lost == (Numbered(Kind.NOTE, SUBJECT, 1),)


def test_two_of_the_same_number_are_a_duplicate_and_one_read_twice_is_not() -> None:
    assert compare([entry(1)], [found(1), replace(found(1), id="second")]).duplicated
    assert compare([entry(1)], [found(1), found(1)]).holds


def test_what_was_not_acknowledged_may_be_there_or_not() -> None:
    entries = [entry(1, Outcome.UNKNOWN), entry(2, Outcome.REFUSED), entry(3, Outcome.UNKNOWN)]
    result = compare(entries, [found(1)])
    assert result.holds
    assert result.found_anyway == (Numbered(Kind.NOTE, SUBJECT, 1),)
    assert result.summary.endswith("; 1 of 3 others are there too")


def test_what_was_never_sent_is_a_finding() -> None:
    result = compare([entry(1)], [found(1), found(7)])
    assert result.unsent == (Numbered(Kind.NOTE, SUBJECT, 7),)
    assert not result.holds


def test_disorder_is_a_later_date_for_an_earlier_write() -> None:
    entries = [entry(1), entry(2), entry(3)]
    result = compare(entries, [found(1, at=9.0), found(2), found(3)])
    assert result.out_of_order == (Numbered(Kind.NOTE, SUBJECT, 1),)
    assert compare(entries, [found(1, at=3.0), found(2), found(3)], tolerance=2.0).holds


def test_the_same_second_is_no_disorder_and_kinds_are_lines_of_their_own() -> None:
    entries = [entry(1), entry(2), entry(1, kind=Kind.PRESCRIPTION)]
    there = [found(1, at=5.0), found(2, at=5.0), found(1, Kind.PRESCRIPTION, at=1.0)]
    assert compare(entries, there).holds


def test_an_unacknowledged_write_may_be_late() -> None:
    entries = [entry(1, Outcome.UNKNOWN), entry(2)]
    assert compare(entries, [found(1, at=9.0), found(2)]).holds


def test_content_says_of_itself_what_it_is_and_only_its_own_ledgers_is_read() -> None:
    assert number_in(content("trial-1", 12), "trial-1") == 12
    assert number_in(content("trial-1", 12), "trial-2") is None
    assert number_in(content("trial-1", 12) + " and more", "trial-1") is None
    assert number_in("Synthetic verification note. No complaint, no finding.", "trial-1") is None


writes = st.dictionaries(
    st.tuples(st.sampled_from(Kind), st.sampled_from(("a", "b")), st.integers(1, 8)),
    st.sampled_from(Outcome),
    max_size=20,
)


@settings(max_examples=60)
@given(sent=writes, missing=st.sets(st.integers(0, 40)), data=st.data())
def test_acknowledged_is_found_or_lost_and_the_order_of_reading_does_not_matter(
    sent: dict[tuple[Kind, str, int], Outcome], missing: set[int], data: st.DataObject
) -> None:
    entries = [entry(number, outcome, kind, subject) for (kind, subject, number), outcome in sent.items()]
    there = [
        found(each.number, each.kind, each.subject)
        for index, each in enumerate(entries)
        if index not in missing
    ]
    result = compare(entries, there)
    names = {Numbered(each.kind, each.subject, each.number) for each in there}
    for each in entries:
        if each.outcome is Outcome.ACKNOWLEDGED:
            name = Numbered(each.kind, each.subject, each.number)
            assert (name in names) != (name in result.lost)
    assert not result.duplicated
    assert not result.out_of_order
    assert compare(entries, data.draw(st.permutations(there))) == result
    assert sum(each.lost for each in result.subjects) == len(result.lost)
