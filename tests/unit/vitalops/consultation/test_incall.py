"""What a walk tells the platform of its call fits what the platform takes, and both judge it alike."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.consultation import quality as platform_quality
from services.consultation.reports import QualityRequest
from tests.unit.vitalops.consultation.test_quality import GOOD
from vitalops.consultation import quality
from vitalops.consultation.incall import quality_report

figures = st.floats(0, 2000)


def test_a_walks_report_is_one_the_platform_takes() -> None:
    request = QualityRequest.model_validate(quality_report(GOOD))
    audio, video = (report.stream() for report in request.streams)
    assert (audio.media, audio.packets, audio.lost) == ("audio", GOOD.audio.packets, GOOD.audio.lost)
    assert (video.media, video.frames, video.frozen_seconds) == (
        "video", GOOD.frames_decoded, GOOD.frozen_seconds,
    )  # fmt: skip


@settings(max_examples=80)
@given(rtt=figures, jitter=figures, received=st.integers(0, 10_000), lost=st.integers(-100, 10_000))
def test_both_score_a_voice_alike(rtt: float, jitter: float, received: int, lost: int) -> None:
    ratio = platform_quality.loss_ratio(received, lost)
    assert 100 * ratio == pytest.approx(quality.loss_percent(received, lost))
    here = quality.mean_opinion_score(rtt, jitter, 100 * ratio)
    assert platform_quality.mean_opinion_score(rtt, jitter, ratio) == pytest.approx(here, abs=1e-9)
