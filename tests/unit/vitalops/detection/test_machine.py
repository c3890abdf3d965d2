"""The decision, by examples and by its two laws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitalops.detection.machine import Assessment, Blind, Healthy, Limits, Lost, Split, Suspect, Watch
from vitalops.detection.sights import Part, Place, Vantage

LIMITS = Limits(detection=4.0)
HERE, THERE = "fr-par", "fr-gra"
OWN = tuple(Vantage(Place.WITNESS, part, HERE) for part in Part)
OTHER = Vantage(Place.WITNESS, Part.GUARD, THERE)
STANDBY = Vantage(Place.STANDBY, Part.GUARD, HERE)
EDGE = Vantage(Place.EDGE, Part.GATEWAY, HERE)
Reach = Callable[[Vantage, float], bool]
"""Whether an attempt that is begun along a line at a time is answered."""


def fresh() -> Watch:
    return Watch("france", HERE, THERE, 1, 0.0, LIMITS)


def exact(least: float, most: float) -> st.SearchStrategy[float]:
    """Seconds whose sums are exact, so that a bound is judged and not its rounding: parts of 1/1024 s."""
    return st.integers(math.ceil(least * 1024), math.floor(most * 1024)).map(lambda parts: parts / 1024)


def looked(watch: Watch, at: float, reach: Reach, standby_silent: float = 0.0) -> Watch:
    """One look of the witness along every line, answered at once where it is."""
    for vantage in (*OWN, OTHER):
        watch = watch.trying(vantage, at)
        if reach(vantage, at):
            watch = watch.hearing(vantage, at)
    if reach(OTHER, at):
        watch = watch.told(STANDBY, at, reach(STANDBY, at), standby_silent)
    return watch.ruled(EDGE, at, reach(EDGE, at))


def played(reach: Reach, seconds: float, *, offset: float = 0.0) -> Iterable[tuple[float, Assessment]]:
    """A witness that looks every interval, and judges five times between two looks."""
    watch, steps = fresh(), int(seconds / LIMITS.interval)
    silent: float | None = None
    for step in range(steps):
        at = offset + step * LIMITS.interval
        if reach(STANDBY, at):
            silent = None
        elif silent is None:
            silent = at
        watch = looked(watch, at, reach, at - silent if silent is not None else 0.0)
        for part in range(5):
            moment = at + part * LIMITS.interval / 5
            yield moment, watch.assess(moment)


def everything(_: Vantage, __: float) -> bool:
    return True


def test_a_region_that_is_reached_is_healthy() -> None:
    assert {type(found) for _, found in played(everything, 20)} == {Healthy}


def test_a_silent_region_is_lost_detection_and_two_looks_later() -> None:
    def dies_at_ten(vantage: Vantage, at: float) -> bool:
        return vantage.region != HERE or at < 10

    found = [(at, each) for at, each in played(dies_at_ten, 20) if isinstance(each, Lost)]
    assert 14 <= found[0][0] <= 10 + LIMITS.silence
    assert found[0][1].region == HERE
    assert [word.reached for word in found[0][1].words] == [False] * 5


@pytest.mark.parametrize("spared", [*OWN, STANDBY, EDGE], ids=str)
def test_one_line_of_sight_that_holds_is_enough_for_no_loss(spared: Vantage) -> None:
    def all_but_one(vantage: Vantage, at: float) -> bool:
        return vantage.region != HERE or vantage == spared or at < 5

    kinds = {type(found) for at, found in played(all_but_one, 30) if at > 8}
    assert kinds == {Suspect}


def test_without_the_standby_guards_word_nothing_is_lost() -> None:
    def partition(vantage: Vantage, at: float) -> bool:
        return at < 5 or vantage in (EDGE, STANDBY)

    assert not any(isinstance(found, Lost) for _, found in played(partition, 30))


def test_a_witness_that_reaches_nobody_is_blind() -> None:
    def cut_off(vantage: Vantage, at: float) -> bool:
        return at < 5 or vantage.place is not Place.WITNESS

    last = list(played(cut_off, 30))[-1][1]
    assert isinstance(last, Blind)
    assert last.seconds > 20


def test_both_regions_down_is_blindness_not_a_loss() -> None:
    def dark(_: Vantage, at: float) -> bool:
        return at < 5

    kinds = {type(found) for at, found in played(dark, 30) if at > 7}
    assert kinds == {Blind}


def test_a_witness_that_was_stopped_counts_anew() -> None:
    watch = fresh()
    for at in (0.0, 0.5, 1.0):
        watch = looked(watch, at, everything)
    # Stopped for ten seconds, in which the region fell silent or not: nobody looked.
    watch = looked(watch, 11.0, lambda vantage, _: vantage.region != HERE, standby_silent=9.0)
    assert not isinstance(watch.assess(11.1), Lost)


def test_a_stale_word_of_the_standby_does_not_count() -> None:
    watch = fresh()
    for step in range(30):
        at = step * 0.5
        for vantage in (*OWN, Vantage(Place.WITNESS, Part.GATEWAY, THERE)):
            watch = watch.trying(vantage, at)
        watch = watch.hearing(Vantage(Place.WITNESS, Part.GATEWAY, THERE), at)
        if step < 6:
            watch = watch.told(STANDBY, at, False, 100.0)
    assert isinstance(watch.assess(14.6), Suspect)


def test_a_line_that_is_no_longer_looked_along_does_not_agree() -> None:
    watch = fresh()
    for step in range(30):
        at = step * 0.5
        watch = watch.trying(OTHER, at).hearing(OTHER, at).told(STANDBY, at, False, at)
        for vantage in OWN if step < 4 else OWN[:2]:
            watch = watch.trying(vantage, at)
    assert not isinstance(watch.assess(14.6), Lost)


def test_an_edge_without_a_word_does_not_hold_a_loss_up() -> None:
    watch = fresh()
    for step in range(30):
        at = step * 0.5
        watch = watch.trying(OTHER, at).hearing(OTHER, at).told(STANDBY, at, False, at)
        for vantage in OWN:
            watch = watch.trying(vantage, at)
    assert isinstance(watch.assess(14.6), Lost)


def test_two_regions_that_take_writes_are_a_split() -> None:
    watch = fresh()
    for step in range(8):
        at = step * 0.5
        watch = looked(watch, at, everything).taking_writes(HERE, at, True).taking_writes(THERE, at, True)
    assert watch.assess(3.6) == Split((HERE, THERE))
    assert watch.taking_writes(THERE, 3.7, False).assess(3.8) == Healthy()


def test_words_that_cross_in_a_switchover_are_no_split() -> None:
    watch = fresh()
    for step in range(8):
        watch = looked(watch, step * 0.5, everything).taking_writes(HERE, step * 0.5, True)
    watch = watch.taking_writes(THERE, 3.6, True)
    assert watch.assess(3.7) == Healthy()


def test_a_newer_token_begins_anew_and_an_older_one_changes_nothing() -> None:
    watch = fresh()
    for step in range(20):
        watch = looked(watch, step * 0.5, lambda vantage, _: vantage.region != HERE, step * 0.5)
    assert isinstance(watch.assess(9.6), Lost)
    assert watch.turned(THERE, 1, 9.6) is watch
    assert watch.turned("ch-gva", 9, 9.6) is watch
    turned = watch.turned(THERE, 2, 9.6)
    assert (turned.active, turned.standby, turned.token) == (THERE, HERE, 2)
    assert turned.assess(9.7) == Healthy()
    assert isinstance(watch.turned(HERE, 2, 9.6).assess(9.7), Healthy)


def test_suspicion_says_who_sees_what() -> None:
    watch = fresh()
    for step in range(10):
        watch = looked(watch, step * 0.5, lambda vantage, _: vantage != OWN[1])
    found = watch.assess(4.6)
    assert isinstance(found, Suspect)
    assert [word.vantage for word in found.words if not word.reached] == ["witness -> fr-par gateway"]
    assert found.seconds == pytest.approx(4.6)


def test_nothing_known_at_all_is_suspect_after_a_moment() -> None:
    assert fresh().assess(0.5) == Healthy()
    assert fresh().assess(9.0) == Suspect(9.0, ())


def outages() -> st.SearchStrategy[list[tuple[float, float]]]:
    """Outages of one line: (start, end), each shorter than the limit, with an answer's time in between."""
    pair = st.tuples(st.floats(0.75, 6.0), st.floats(0.1, LIMITS.detection - 0.001))

    def laid_out(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
        spans: list[tuple[float, float]] = []
        at = 3.0
        for pause, length in pairs:
            at += pause
            spans.append((at, at + length))
            at += length
        return spans

    return st.lists(pair, max_size=6).map(laid_out)


@settings(max_examples=30)
@given(
    lines=st.fixed_dictionaries({vantage: outages() for vantage in (*OWN, OTHER, STANDBY, EDGE)}),
    together=outages(),
    offset=st.floats(0, 0.49),
)
def test_outages_shorter_than_the_limit_are_never_a_loss(
    lines: dict[Vantage, list[tuple[float, float]]], together: list[tuple[float, float]], offset: float
) -> None:
    def reach(vantage: Vantage, at: float) -> bool:
        if vantage.region == HERE and any(start <= at < end for start, end in together):
            return False
        # Each line also has outages of its own, but never in the pause that makes an outage end.
        quiet = any(end <= at < end + 0.75 for _, end in together)
        return quiet or not any(start <= at < end for start, end in lines[vantage])

    merged = [*together, *(span for spans in lines.values() for span in spans)]
    last = max((end for _, end in merged), default=5.0)
    for _, found in played(reach, last + 2, offset=offset):
        assert not isinstance(found, Lost)


@settings(max_examples=30)
@given(death=exact(2.0, 12.0), offset=exact(0, 0.49), detection=exact(1.0, 6.0), edge=st.booleans())
def test_silence_is_always_found_in_time(death: float, offset: float, detection: float, edge: bool) -> None:
    limits = replace(LIMITS, detection=detection)
    watch = replace(fresh(), limits=limits)
    at = offset

    def dies(vantage: Vantage, at: float) -> bool:
        return vantage.region != HERE or at < death

    while not isinstance(watch.assess(at), Lost):
        at += limits.interval
        assert at < death + limits.silence + limits.interval, "not found"
        watch = looked(watch, at, dies, max(at - death, 0.0))
        if edge and at < death:
            watch = watch.ruled(EDGE, at, True)
    assert death + detection <= at + 1e-6
