"""One line of sight over time."""

from __future__ import annotations

from vitalops.detection.sights import Part, Place, Sight, Vantage, answered, judged, reported, tried


def test_silence_is_counted_from_the_last_answer() -> None:
    sight = answered(tried(None, 0.0, 1.5), 0.1)
    for at in (0.5, 1.0, 1.5):
        sight = tried(sight, at, 1.5)
    assert sight.silence(1.6) == 1.5


def test_silence_is_counted_anew_after_a_pause_without_looking() -> None:
    sight = answered(tried(None, 0.0, 1.5), 0.1)
    sight = tried(sight, 9.0, 1.5)
    assert (sight.silence(9.5), sight.reached) == (0.5, False)


def test_an_answer_that_was_overtaken_changes_nothing() -> None:
    sight = answered(answered(None, 5.0), 4.0)
    assert (sight.silent_since, sight.looked) == (5.0, 5.0)


def test_another_places_count_is_taken_but_never_from_before_what_is_known() -> None:
    assert reported(None, 10.0, False, 7.0).silent_since == 3.0
    assert reported(answered(None, 8.0), 10.0, False, 7.0).silent_since == 8.0


def test_a_restarted_guard_counts_anew() -> None:
    sight = reported(None, 10.0, False, 7.0)
    assert reported(sight, 10.5, False, 0.2).silent_since == 10.3


def test_a_clock_that_runs_backwards_does_not_make_silence() -> None:
    assert reported(None, 10.0, False, -3.0).silent_since == 10.0


def test_a_judgement_has_no_duration() -> None:
    assert judged(3.0, False) == Sight(3.0, 3.0, reached=False, judged=True)


def test_a_vantage_is_told_as_people_say_it() -> None:
    assert str(Vantage(Place.WITNESS, Part.API_SERVER, "fr-par")) == "witness -> fr-par api-server"
