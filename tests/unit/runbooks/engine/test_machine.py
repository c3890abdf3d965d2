"""The machine, for any sequence of what may happen."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.engine.machine import Act, Event, Happened, Shape, State, after
from runbooks.engine.runs import RunState

NAMES = ("one", "two", "three", "four")

POSSIBLE = {
    Act.BEGIN: (Happened.BEGUN, Happened.REFUSED, Happened.GIVEN_UP),
    Act.CHECK: (Happened.DUE, Happened.DONE, Happened.REFUSED, Happened.FAILED),
    Act.APPLY: (Happened.APPLIED, Happened.FAILED, Happened.STUCK),
    Act.VERIFY: (Happened.VERIFIED, Happened.FAILED, Happened.STUCK),
    Act.UNDO: (Happened.UNDONE, Happened.LASTS, Happened.UNDO_FAILED),
    Act.FINISH: (Happened.FINISHED,),
}
CRASHES = (Happened.RESUMED, Happened.GIVEN_UP)
"""What may happen instead in every act between the beginning and the end."""


@st.composite
def lives(draw: st.DrawFn) -> tuple[Shape, list[tuple[State, Event, State]]]:
    """A run from its beginning to its end, or to where the test stops looking."""
    shape = Shape(NAMES[: draw(st.integers(1, 4))], draw(st.booleans()))
    state, told = State(), list[tuple[State, Event, State]]()
    while state.act is not Act.NOTHING and len(told) < 60:
        between = state.act not in (Act.BEGIN, Act.FINISH)
        what = draw(
            st.sampled_from(POSSIBLE[state.act] * 3 + (CRASHES if between else ())), label=state.act.value
        )
        data = {"token": 7} if what is Happened.BEGUN else {}
        if what is Happened.RESUMED:
            data = {"lost": draw(st.booleans())}
        event = Event(what, state.step(shape), "why", data)
        following = after(shape, state, event)
        told.append((state, event, following))
        state = following
    return shape, told


@settings(max_examples=150)
@given(lives())
def test_apply_follows_its_own_check_at_once(life: tuple[Shape, list[tuple[State, Event, State]]]) -> None:
    _, told = life
    for _, event, following in told:
        if following.act is Act.APPLY:
            assert event.what is Happened.DUE
            assert following.index in following.touched


@settings(max_examples=150)
@given(lives())
def test_what_was_touched_is_undone_last_first_and_once(
    life: tuple[Shape, list[tuple[State, Event, State]]],
) -> None:
    shape, told = life
    undone = [state.index for state, event, _ in told if event.what in (Happened.UNDONE, Happened.LASTS)]
    assert undone == sorted(set(undone), reverse=True)
    if undone:
        assert shape.undoes
    if told[-1][2].outcome is RunState.FAILED_UNDONE and told[-1][2].act is Act.NOTHING:
        due = {state.index for state, event, _ in told if event.what is Happened.DUE}
        assert set(undone) == due


@settings(max_examples=150)
@given(lives())
def test_a_run_that_ended_well_verified_whatever_it_touched(
    life: tuple[Shape, list[tuple[State, Event, State]]],
) -> None:
    shape, told = life
    last = told[-1][2]
    if last.act is not Act.NOTHING:
        return
    assert last.outcome is not None
    if last.outcome is RunState.SUCCEEDED:
        seen = {state.index for state, event, _ in told if event.what in (Happened.VERIFIED, Happened.DONE)}
        assert seen == set(range(len(shape.steps)))
        for index in last.touched:
            ends = [e.what for s, e, _ in told if s.index == index and s.act in (Act.APPLY, Act.VERIFY)]
            assert ends[-1] is Happened.VERIFIED
    if last.outcome in (RunState.REFUSED, RunState.REJECTED):
        assert not any(event.what is Happened.APPLIED for _, event, _ in told)


@settings(max_examples=50)
@given(lives())
def test_events_survive_json(life: tuple[Shape, list[tuple[State, Event, State]]]) -> None:
    for _, event, _ in life[1]:
        assert Event.from_json(event.as_json()) == event


def test_a_lost_effect_is_made_again_only_where_nothing_was_built_on_it() -> None:
    shape = Shape(("one", "two"), True)
    state = State()
    for event in (
        Event(Happened.BEGUN, data={"token": 1}),
        Event(Happened.DUE, "one"),
        Event(Happened.APPLIED, "one"),
        Event(Happened.VERIFIED, "one"),
    ):
        state = after(shape, state, event)
    lost = Event(Happened.RESUMED, data={"lost": True})
    assert after(shape, state, lost).index == 0
    begun = after(shape, state, Event(Happened.DUE, "two"))
    resumed = after(shape, begun, lost)
    assert (resumed.act, resumed.index) == (Act.CHECK, 1)
    assert after(shape, resumed, lost).index == 1


def test_the_facts_of_the_first_check_count() -> None:
    shape = Shape(("one",), True)
    state = after(shape, State(), Event(Happened.BEGUN, data={"token": 1}))
    state = after(shape, state, Event(Happened.DUE, "one", data={"facts": {"replicas": 2}}))
    state = after(shape, state, Event(Happened.RESUMED))
    state = after(shape, state, Event(Happened.DONE, "one", data={"facts": {"replicas": 4, "pods": "p"}}))
    assert state.outputs["one"] == {"replicas": 2, "pods": "p"}
    assert state.act is Act.VERIFY
