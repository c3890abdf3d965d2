"""Any tampering with the chain is found, and found where it begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit.chain import GENESIS, Head, Link, canonical, extend, link_digest, verify

events = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.text(max_size=8) | st.integers() | st.booleans(),
    min_size=1,
    max_size=4,
)

# Every example builds and breaks a whole chain.
few = settings(max_examples=40, deadline=None)


def build(documents: list[dict[str, Any]]) -> list[Link]:
    links, head = [], Head()
    for document in documents:
        link = extend(head, document)
        links.append(link)
        head = Head(link.sequence, link.digest)
    return links


@few
@given(st.lists(events, max_size=8))
def test_an_honest_chain_is_intact(documents: list[dict[str, Any]]) -> None:
    links = build(documents)
    found = verify(links, Head())
    assert found.intact
    assert found.checked == len(documents)
    assert found.head == (Head(links[-1].sequence, links[-1].digest) if links else Head())


@few
@given(st.lists(events, min_size=1, max_size=8), st.data())
def test_a_changed_event_is_found_where_it_is(documents: list[dict[str, Any]], data: st.DataObject) -> None:
    links = build(documents)
    place = data.draw(st.integers(0, len(links) - 1))
    other = data.draw(events.filter(lambda event: canonical(event) != canonical(links[place].event)))
    links[place] = replace(links[place], event=other)
    found = verify(links, Head())
    assert not found.intact
    assert found.broken_at == place + 1
    assert found.checked == place


@few
@given(st.lists(events, min_size=2, max_size=8), st.data())
def test_a_removed_record_is_found(documents: list[dict[str, Any]], data: st.DataObject) -> None:
    links = build(documents)
    place = data.draw(st.integers(0, len(links) - 2))
    del links[place]
    found = verify(links, Head())
    assert not found.intact
    assert found.broken_at == place + 1


@few
@given(st.lists(events, min_size=2, max_size=8), st.data())
def test_a_removed_record_is_found_also_when_the_rest_is_renumbered(
    documents: list[dict[str, Any]], data: st.DataObject
) -> None:
    links = build(documents)
    place = data.draw(st.integers(0, len(links) - 2))
    del links[place]
    renumbered = [replace(link, sequence=number) for number, link in enumerate(links, 1)]
    assert not verify(renumbered, Head()).intact


@few
@given(st.lists(events, min_size=1, max_size=8), events, st.data())
def test_an_inserted_record_is_found(
    documents: list[dict[str, Any]], extra: dict[str, Any], data: st.DataObject
) -> None:
    links = build(documents)
    place = data.draw(st.integers(0, len(links) - 1))
    before = Head(links[place - 1].sequence, links[place - 1].digest) if place else Head()
    forged = extend(before, extra)
    rest = [replace(link, sequence=link.sequence + 1) for link in links[place:]]
    assert not verify([*links[:place], forged, *rest], Head()).intact


@few
@given(st.lists(events, min_size=2, max_size=8), st.data())
def test_swapped_records_are_found(documents: list[dict[str, Any]], data: st.DataObject) -> None:
    links = build(documents)
    one = data.draw(st.integers(0, len(links) - 2))
    links[one], links[one + 1] = links[one + 1], links[one]
    assert not verify(links, Head()).intact


@few
@given(st.lists(events, min_size=2, max_size=6), events, st.data())
def test_rewriting_everything_after_a_change_is_found_by_a_noted_head(
    documents: list[dict[str, Any]], other: dict[str, Any], data: st.DataObject
) -> None:
    """Whoever can write to the table can make a consistent chain, but not one that ends in the same digest."""
    links = build(documents)
    place = data.draw(st.integers(0, len(links) - 1))
    if canonical(other) == canonical(documents[place]):
        return
    rewritten = build([*documents[:place], other, *documents[place + 1 :]])
    assert verify(rewritten, Head()).intact
    assert rewritten[-1].digest != links[-1].digest


@few
@given(st.lists(events, min_size=2, max_size=8), st.data())
def test_verification_can_start_from_a_checkpoint(
    documents: list[dict[str, Any]], data: st.DataObject
) -> None:
    links = build(documents)
    place = data.draw(st.integers(1, len(links)))
    start = Head(links[place - 1].sequence, links[place - 1].digest)
    found = verify(links[place:], start)
    assert found.intact
    assert found.checked == len(links) - place
    if place < len(links):
        assert not verify(links[place:], replace(start, digest=GENESIS)).intact


def test_the_digest_is_what_the_documentation_says() -> None:
    assert canonical({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()
    import hashlib

    text = '{"event":{"a":"é"},"previous":"' + "0" * 64 + '","sequence":1}'
    assert link_digest(1, {"a": "é"}, GENESIS) == hashlib.sha256(text.encode()).hexdigest()
