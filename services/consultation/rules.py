"""The life of a consultation, as a pure fold over everything that is known to have happened to it.

What happened is a *set* of events: commands this service accepted (opened, requested, token, admitted, callback, ended)
and observations LiveKit made (entered, left, published, unpublished, room finished). LiveKit's webhooks may arrive
late, twice or in the wrong order, so nothing here depends on the order of arrival: `view` gives the same answer for
every permutation and every repetition of the same events.

    booked -> waiting -> joined <-> in_call <-> dropped
       |         |          |          |           |
       +---------+----------+----------+-----------+--> completed | missed | cancelled | dropped (ended)

Invariants, each held by a property test:
- an ended consultation never changes state again;
- every change of state one event can cause is in `LEGAL`;
- `in_call` means that a track of each party is being published at the same time, as the media server sees it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final


class Party(StrEnum):
    PATIENT = "patient"
    PRACTITIONER = "practitioner"


class State(StrEnum):
    BOOKED = "booked"
    WAITING = "waiting"
    """The patient asked to come in and is in the waiting room."""
    JOINED = "joined"
    """Somebody has been in the room; media does not flow both ways now."""
    IN_CALL = "in_call"
    """Media is published by both parties at the same time."""
    DROPPED = "dropped"
    """Media flowed both ways, and a party lost its connection (it did not hang up)."""
    COMPLETED = "completed"
    MISSED = "missed"
    CANCELLED = "cancelled"


class Kind(StrEnum):
    OPENED = "opened"
    REQUESTED = "requested"
    ADMITTED = "admitted"
    TOKEN = "token"
    """A join token was handed out. Needed for the join time."""
    ENTERED = "entered"
    LEFT = "left"
    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"
    ROOM_FINISHED = "room_finished"
    ENDED = "ended"
    CALLBACK = "callback"
    """The patient was told to wait for a telephone call."""


_IN_THE_ROOM: Final = frozenset({Kind.ENTERED, Kind.LEFT, Kind.PUBLISHED, Kind.UNPUBLISHED})
OUTCOMES: Final = frozenset({State.COMPLETED, State.MISSED, State.CANCELLED, State.DROPPED})

LEGAL: Final[dict[State, frozenset[State]]] = {
    State.BOOKED: frozenset({State.WAITING, State.JOINED, State.COMPLETED, State.CANCELLED, State.MISSED}),
    State.WAITING: frozenset({State.JOINED, State.COMPLETED, State.CANCELLED, State.MISSED}),
    State.JOINED: frozenset({State.IN_CALL, State.DROPPED, State.COMPLETED, State.CANCELLED, State.MISSED}),
    State.IN_CALL: frozenset({State.JOINED, State.DROPPED, State.COMPLETED}),
    State.DROPPED: frozenset({State.JOINED, State.IN_CALL, State.COMPLETED}),
    State.COMPLETED: frozenset(),
    State.MISSED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""Which state may follow which. `dropped` has successors only while the consultation has not ended."""


class IllegalTransition(Exception):
    """A command that the consultation's present state does not allow. The message is fit for the caller."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. Two events of the same `id` are the same event."""

    id: str
    kind: Kind
    at: datetime
    party: Party | None = None
    session: str = ""
    """LiveKit's sid of one connection of one party; a reconnecting client gets a new one."""
    track: str = ""
    room: str = ""
    """LiveKit's sid of one incarnation of the room."""
    voluntary: bool = True
    """For `left`: the party hung up, or was replaced by its own newer connection."""
    outcome: State | None = None
    """For `ended`."""


@dataclass(frozen=True, slots=True)
class View:
    """What the events amount to."""

    state: State
    ended: bool
    waiting_since: datetime | None = None
    """When the patient first asked to come in; kept after admission."""
    admitted_at: datetime | None = None
    entered_at: dict[Party, datetime] = field(default_factory=dict[Party, datetime])
    """First time of each party in the room."""
    media_at: datetime | None = None
    """First moment at which both parties published at the same time."""
    ended_at: datetime | None = None
    present: frozenset[Party] = frozenset()
    by_phone: bool = False
    """Whether the patient was told to wait for a telephone call: such a consultation takes place in no room."""


@dataclass(slots=True)
class _Session:
    party: Party
    room: str = ""
    entered: datetime | None = None
    left: datetime | None = None
    voluntary: bool = True
    published: dict[str, datetime] = field(default_factory=dict[str, datetime])
    unpublished: dict[str, datetime] = field(default_factory=dict[str, datetime])

    @property
    def present(self) -> bool:
        return self.left is None and (self.entered is not None or bool(self.published))

    def intervals(self) -> list[tuple[datetime, datetime | None]]:
        """[start, end) of each track published in this session; end is None while it is still published."""
        return [
            (start, _earliest(self.unpublished.get(track), self.left))
            for track, start in self.published.items()
        ]


def _earliest(*times: datetime | None) -> datetime | None:
    known = [time for time in times if time is not None]
    return min(known) if known else None


def _sessions(events: Iterable[Event]) -> list[_Session]:
    sessions: dict[str, _Session] = {}
    finished: dict[str, datetime] = {}
    # Sorted, so that of two reports of the same fact the earliest wins whatever order they came in.
    for event in sorted(events, key=lambda event: (event.at, event.id)):
        if event.kind is Kind.ROOM_FINISHED:
            finished.setdefault(event.room, event.at)
        if event.kind not in _IN_THE_ROOM or event.party is None:
            continue
        session = sessions.setdefault(event.session, _Session(event.party))
        session.room = session.room or event.room
        match event.kind:
            case Kind.ENTERED:
                session.entered = session.entered or event.at
            case Kind.LEFT:
                if session.left is None:
                    session.left, session.voluntary = event.at, event.voluntary
            case Kind.PUBLISHED:
                session.published.setdefault(event.track, event.at)
            case _:
                session.unpublished.setdefault(event.track, event.at)
    for session in sessions.values():
        # A room that is gone has nobody in it, even if the webhook about their leaving was lost.
        if session.left is None and session.room in finished:
            session.left = finished[session.room]
    return list(sessions.values())


def _media(sessions: Iterable[_Session]) -> tuple[datetime | None, bool]:
    """First moment at which both parties published at once (None if never), and whether they do now."""
    sent: dict[Party, list[tuple[datetime, datetime | None]]] = {party: [] for party in Party}
    for session in sessions:
        sent[session.party] += session.intervals()
    first: datetime | None = None
    now = False
    for start, end in sent[Party.PATIENT]:
        for other_start, other_end in sent[Party.PRACTITIONER]:
            begin, finish = max(start, other_start), _earliest(end, other_end)
            if finish is None or begin < finish:
                first = _earliest(first, begin)
                now = now or finish is None
    return first, now


def _lost(sessions: Iterable[_Session], present: frozenset[Party]) -> bool:
    """Whether a party is gone whose last connection ended without its wish."""
    for party in set(Party) - present:
        gone = [(s.left, s.voluntary) for s in sessions if s.party is party and s.left is not None]
        if gone and not max(gone)[1]:
            return True
    return False


def view(events: Iterable[Event]) -> View:
    """Fold the events, in any order and with any repetitions, into what they amount to."""
    known = {event.id: event for event in events}.values()
    sessions = _sessions(known)
    media_at, flowing = _media(sessions)
    present = frozenset(session.party for session in sessions if session.present)
    waiting = _earliest(*(e.at for e in known if e.kind is Kind.REQUESTED and e.party is Party.PATIENT))
    ends = sorted((e.at, e.id, e.outcome) for e in known if e.kind is Kind.ENDED and e.outcome)

    if ends:
        state = ends[0][2]
    elif flowing:
        state = State.IN_CALL
    elif media_at and _lost(sessions, present):
        state = State.DROPPED
    elif sessions:
        state = State.JOINED
    elif waiting:
        state = State.WAITING
    else:
        state = State.BOOKED

    entered: dict[Party, datetime] = {}
    for session in sessions:
        first = _earliest(entered.get(session.party), session.entered, *session.published.values())
        if first is not None:
            entered[session.party] = first
    return View(
        state=state,
        ended=bool(ends),
        waiting_since=waiting,
        admitted_at=_earliest(*(e.at for e in known if e.kind is Kind.ADMITTED)),
        entered_at=entered,
        media_at=media_at,
        ended_at=ends[0][0] if ends else None,
        present=present,
        by_phone=any(e.kind is Kind.CALLBACK for e in known),
    )


def check_open(current: View) -> None:
    """Raise IllegalTransition unless the consultation can still be joined."""
    if current.ended:
        raise IllegalTransition(f"the consultation has ended ({current.state}); book another appointment")


def check_end(current: View, outcome: State) -> None:
    """Raise IllegalTransition unless the consultation may end with `outcome` now."""
    check_open(current)
    if outcome is State.COMPLETED:
        if len(current.entered_at) < len(Party) and not current.by_phone:
            raise IllegalTransition(
                "the parties have not both been in the room: there is nothing to complete"
            )
    elif outcome is State.CANCELLED:
        if current.media_at is not None:
            raise IllegalTransition("the call took place: complete the consultation instead of cancelling it")
    elif outcome is State.MISSED:
        if current.media_at is not None or current.present:
            raise IllegalTransition("the call took place or somebody is in the room: it was not missed")
    elif outcome is State.DROPPED:
        if current.state is not State.DROPPED:
            raise IllegalTransition(f"the consultation is {current.state}, not dropped")
    else:
        raise IllegalTransition(f"{outcome} is not an outcome")


def outcome_after_time(current: View, *, stale: bool = False) -> State | None:
    """How a consultation whose time is over ends by itself; None while somebody is still in the room.

    With `stale` also then: so long afterwards, it is more likely that nobody told us of their leaving.
    """
    if current.ended or (current.present and not stale):
        return None
    if current.media_at is None:
        return State.MISSED
    return State.DROPPED if current.state is State.DROPPED else State.COMPLETED


def join_seconds(events: Iterable[Event], party: Party) -> float | None:
    """Seconds from the join token `party` used to its first entry into the room. None when it has not entered."""
    known = list(events)
    entered = _earliest(*(e.at for e in known if e.kind is Kind.ENTERED and e.party is party))
    if entered is None:
        return None
    tokens = [e.at for e in known if e.kind is Kind.TOKEN and e.party is party and e.at <= entered]
    return (entered - max(tokens)).total_seconds() if tokens else None


def media_seconds(current: View) -> float | None:
    """Seconds from both parties being in the room to media both ways; None until then. Never negative."""
    if current.media_at is None or len(current.entered_at) < len(Party):
        return None
    return max(0.0, (current.media_at - max(current.entered_at.values())).total_seconds())
