"""The lifecycle: no illegal transition, and the same end whatever the order and number of deliveries."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.consultation.rules import (
    LEGAL,
    Event,
    IllegalTransition,
    Kind,
    Party,
    State,
    check_end,
    check_open,
    join_seconds,
    media_seconds,
    outcome_after_time,
    view,
)

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PATIENT, DOCTOR = Party.PATIENT, Party.PRACTITIONER


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def event(kind: Kind, seconds: float, party: Party | None = None, session: str = "", **more: object) -> Event:
    number = more.pop("id", f"{kind}-{seconds}-{party}-{session}-{more.get('track', '')}")
    return Event(id=str(number), kind=kind, at=at(seconds), party=party, session=session, **more)  # type: ignore[arg-type]


def a_call() -> list[Event]:
    return [
        event(Kind.OPENED, 0),
        event(Kind.REQUESTED, 1, PATIENT),
        event(Kind.TOKEN, 2, DOCTOR),
        event(Kind.ENTERED, 2.5, DOCTOR, "d1", room="R"),
        event(Kind.ADMITTED, 3),
        event(Kind.TOKEN, 3.5, PATIENT),
        event(Kind.ENTERED, 4, PATIENT, "p1", room="R"),
        event(Kind.PUBLISHED, 4.5, PATIENT, "p1", track="tp", room="R"),
        event(Kind.PUBLISHED, 5, DOCTOR, "d1", track="td", room="R"),
    ]


def test_a_call_walks_through_its_states() -> None:
    events = a_call()
    states = [view(events[: n + 1]).state for n in range(len(events))]
    assert states == [
        State.BOOKED,
        State.WAITING,
        State.WAITING,
        State.JOINED,
        State.JOINED,
        State.JOINED,
        State.JOINED,
        State.JOINED,
        State.IN_CALL,
    ]
    current = view(events)
    assert current.present == {PATIENT, DOCTOR}
    assert current.waiting_since == at(1)
    assert current.admitted_at == at(3)
    assert current.media_at == at(5)
    assert join_seconds(events, DOCTOR) == 0.5
    assert media_seconds(current) == 1.0


def test_media_must_overlap_to_be_both_ways() -> None:
    events = [
        event(Kind.PUBLISHED, 1, PATIENT, "p1", track="t"),
        event(Kind.LEFT, 2, PATIENT, "p1"),
        event(Kind.PUBLISHED, 3, DOCTOR, "d1", track="u"),
    ]
    assert view(events).media_at is None
    assert view(events).state is State.JOINED


def test_a_lost_connection_drops_the_call_and_a_new_one_resumes_it() -> None:
    events = [*a_call(), event(Kind.LEFT, 10, PATIENT, "p1", voluntary=False)]
    assert view(events).state is State.DROPPED
    events += [
        event(Kind.ENTERED, 12, PATIENT, "p2", room="R"),
        event(Kind.PUBLISHED, 13, PATIENT, "p2", track="t2", room="R"),
    ]
    assert view(events).state is State.IN_CALL


def test_hanging_up_is_not_a_drop() -> None:
    events = [*a_call(), event(Kind.LEFT, 10, PATIENT, "p1"), event(Kind.LEFT, 11, DOCTOR, "d1")]
    assert view(events).state is State.JOINED
    assert outcome_after_time(view(events)) is State.COMPLETED


def test_a_finished_room_is_empty_even_if_nobody_said_they_left() -> None:
    events = [*a_call(), event(Kind.ROOM_FINISHED, 20, room="R")]
    assert view(events).present == frozenset()
    assert view(events).state is State.JOINED


def test_a_finished_room_does_not_empty_the_next_one_of_the_same_name() -> None:
    events = [*a_call(), event(Kind.ROOM_FINISHED, 20, room="OLD")]
    assert view(events).state is State.IN_CALL


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([event(Kind.OPENED, 0)], State.MISSED),
        ([event(Kind.OPENED, 0), event(Kind.REQUESTED, 1, PATIENT)], State.MISSED),
        (
            [
                *a_call(),
                event(Kind.LEFT, 9, PATIENT, "p1", voluntary=False),
                event(Kind.LEFT, 9, DOCTOR, "d1"),
            ],
            State.DROPPED,
        ),
        (a_call(), None),
    ],
)
def test_what_becomes_of_a_consultation_whose_time_is_over(
    events: list[Event], outcome: State | None
) -> None:
    assert outcome_after_time(view(events)) is outcome
    if outcome:
        check_end(view(events), outcome)


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([event(Kind.OPENED, 0)], State.COMPLETED),
        (a_call()[:5], State.COMPLETED),
        (a_call(), State.CANCELLED),
        (a_call(), State.MISSED),
        (a_call(), State.DROPPED),
        ([event(Kind.OPENED, 0)], State.BOOKED),
    ],
)
def test_an_end_that_did_not_happen_is_refused(events: list[Event], outcome: State) -> None:
    with pytest.raises(IllegalTransition):
        check_end(view(events), outcome)


def test_an_ended_consultation_cannot_be_joined_or_ended_again() -> None:
    current = view([*a_call(), event(Kind.ENDED, 30, outcome=State.COMPLETED)])
    assert current.state is State.COMPLETED
    with pytest.raises(IllegalTransition, match="has ended"):
        check_open(current)
    with pytest.raises(IllegalTransition, match="has ended"):
        check_end(current, State.COMPLETED)


def test_join_time_uses_the_last_token_before_entering() -> None:
    events = [
        event(Kind.TOKEN, 1, PATIENT),
        event(Kind.TOKEN, 60, PATIENT),
        event(Kind.ENTERED, 61, PATIENT, "p1"),
        event(Kind.TOKEN, 90, PATIENT),
    ]
    assert join_seconds(events, PATIENT) == 1.0
    assert join_seconds(events, DOCTOR) is None


# Observations as LiveKit may report them, and the commands the service may be given.
_seconds = st.integers(0, 30)
_party = st.sampled_from(Party)


@st.composite
def observations(draw: st.DrawFn) -> Event:
    kind = draw(
        st.sampled_from([Kind.ENTERED, Kind.LEFT, Kind.PUBLISHED, Kind.UNPUBLISHED, Kind.ROOM_FINISHED])
    )
    party = draw(_party)
    session = f"{party}{draw(st.integers(1, 2))}"
    return Event(
        id=f"EV_{draw(st.integers(0, 10**9))}",
        kind=kind,
        at=at(draw(_seconds)),
        party=None if kind is Kind.ROOM_FINISHED else party,
        session="" if kind is Kind.ROOM_FINISHED else session,
        track=f"t{draw(st.integers(1, 2))}" if kind in (Kind.PUBLISHED, Kind.UNPUBLISHED) else "",
        room=draw(st.sampled_from(["R1", "R2"])),
        voluntary=draw(st.booleans()),
    )


@given(
    st.lists(observations(), max_size=12, unique_by=lambda event: event.id), st.randoms(use_true_random=False)
)
def test_late_repeated_and_shuffled_webhooks_converge(events: list[Event], chance: random.Random) -> None:
    events = [event(Kind.OPENED, 0), event(Kind.REQUESTED, 1, PATIENT), *events]
    delivered = events + chance.choices(events, k=len(events))
    chance.shuffle(delivered)
    assert view(delivered) == view(events)


_commands = st.sampled_from([*sorted(s for s in State), "request", "admit"])


@given(st.lists(st.one_of(observations(), st.tuples(_commands, _seconds)), max_size=14))
def test_no_sequence_of_events_makes_an_illegal_transition(steps: list[Event | tuple[str, int]]) -> None:
    log = [event(Kind.OPENED, 0)]
    current = view(log)
    for number, step in enumerate(steps):
        if isinstance(step, Event):
            # Its own id: an event that has another's is a repetition of that one, and would replace it.
            added = replace(step, id=f"o{number}")
        else:
            command, seconds = step
            try:
                if command == "request":
                    check_open(current)
                    added = event(Kind.REQUESTED, seconds, PATIENT, id=f"c{number}")
                elif command == "admit":
                    check_open(current)
                    added = event(Kind.ADMITTED, seconds, id=f"c{number}")
                else:
                    check_end(current, State(command))
                    added = event(Kind.ENDED, seconds, outcome=State(command), id=f"c{number}")
            except IllegalTransition:
                continue
        log.append(added)
        after = view(log)
        if current.ended:
            assert (after.state, after.ended_at) == (current.state, current.ended_at)
        elif after.state is not current.state:
            assert after.state in LEGAL[current.state], f"{current.state} -> {after.state} by {added.kind}"
        if after.state is State.IN_CALL:
            assert after.present == frozenset(Party)
        current = after
