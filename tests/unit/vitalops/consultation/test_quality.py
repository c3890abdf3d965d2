from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitalops.consultation.quality import (
    QualityGate,
    Reception,
    StreamCount,
    loss_percent,
    mean_opinion_score,
    opinion_score,
    rating,
)

GOOD = Reception(
    receiver="patient",
    sender="practitioner",
    video=StreamCount(seconds=5, packets=100, lost=0, jitter_ms=3),
    audio=StreamCount(seconds=5, packets=250, lost=0, jitter_ms=2),
    frames_sent=75,
    frames_received=75,
    frames_decoded=74,
    frames_dropped=0,
    frame_size="320x240",
    freezes=0,
    frozen_seconds=0,
    concealed_percent=0,
    rtt_ms=4,
    join_seconds=0.3,
    first_frame_seconds=0.8,
)

# ITU-T G.107 (2015), table B.1: R at the lower limit of each category of user satisfaction, and its MOS.
TABLE_B1 = ((90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58))

delays = st.floats(0, 5000)
losses = st.floats(0, 100)
more = st.floats(0, 1000)


@pytest.mark.parametrize(("r", "mos"), TABLE_B1)
def test_rating_maps_to_the_published_score(r: float, mos: float) -> None:
    assert opinion_score(r) == pytest.approx(mos, abs=0.01)


def test_rating_of_the_default_call_scores_as_published() -> None:
    # G.107 section 7.7: all parameters at their defaults give R = 93.2, MOS 4.41.
    assert opinion_score(93.2) == pytest.approx(4.41, abs=0.005)


def test_score_is_bounded_where_the_cubic_is_not() -> None:
    assert opinion_score(-10) == 1.0
    assert opinion_score(3) == 1.0
    assert opinion_score(120) == 4.5


def test_rating_has_no_jump_at_the_delay_knee() -> None:
    assert rating(150 - 1e-9, 0, 0) == pytest.approx(rating(150, 0, 0), abs=1e-6)


@given(delays, delays, losses, more, more, more)
def test_a_worse_network_never_sounds_better(
    rtt: float, jitter: float, loss: float, more_rtt: float, more_jitter: float, more_loss: float
) -> None:
    score = mean_opinion_score(rtt, jitter, loss)
    assert 1.0 <= score <= 4.5
    assert mean_opinion_score(rtt + more_rtt, jitter, loss) <= score + 1e-9
    assert mean_opinion_score(rtt, jitter + more_jitter, loss) <= score + 1e-9
    assert mean_opinion_score(rtt, jitter, loss + more_loss) <= score + 1e-9


@given(st.integers(0, 10**9), st.integers(-1000, 10**9))
def test_loss_is_a_percentage(received: int, lost: int) -> None:
    assert 0 <= loss_percent(received, lost) <= 100


def test_loss_counts_what_was_sent() -> None:
    assert loss_percent(90, 10) == 10.0
    assert loss_percent(0, 0) == 0.0
    assert loss_percent(100, -3) == 0.0, "duplicates make RFC 3550's count negative"


def test_a_good_call_passes_the_gate() -> None:
    assert QualityGate().faults(GOOD) == ()


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (replace(GOOD, frames_decoded=3), "decoded 3 frames"),
        (replace(GOOD, frames_decoded=50), "50 of 75 frames sent"),
        (replace(GOOD, audio=replace(GOOD.audio, packets=0)), "no audio"),
        (replace(GOOD, video=replace(GOOD.video, lost=10)), "video packets"),
        (replace(GOOD, audio=replace(GOOD.audio, lost=25)), "audio packets"),
        (replace(GOOD, rtt_ms=450), "round trip of 450 ms"),
        (replace(GOOD, audio=replace(GOOD.audio, jitter_ms=400)), "MOS"),
    ],
)
def test_each_limit_of_the_gate_is_enforced_and_names_the_receiver(bad: Reception, named: str) -> None:
    faults = QualityGate().faults(bad)
    assert any(named in fault and fault.startswith("patient") for fault in faults), faults


def test_nothing_measured_is_no_good_call() -> None:
    nothing = replace(GOOD, video=StreamCount(0, 0, 0, 0), frames_sent=0, frames_decoded=0)
    assert QualityGate().faults(nothing)


def test_a_call_of_voice_alone_is_judged_by_its_voice() -> None:
    silent = StreamCount(seconds=0, packets=0, lost=0, jitter_ms=0)
    voice = replace(GOOD, video=silent, frames_sent=0, frames_decoded=0, has_video=False)
    assert QualityGate().faults(voice) == ()
    assert QualityGate().faults(replace(voice, has_video=True))
    assert QualityGate().faults(replace(voice, audio=silent)) == ("patient received no audio",)
