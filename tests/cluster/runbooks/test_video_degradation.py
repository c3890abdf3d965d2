"""Rehearsal of video-degradation: voice alone, for calls that run and calls that begin; then video again."""

from __future__ import annotations

import time

import pytest

from tests.cluster.conftest import RunningPlatform, vitalops
from tests.cluster.runbooks.rehearsing import carried_out, prove

pytestmark = pytest.mark.cluster


def test_calls_become_voice_alone_and_video_again(running_platform: RunningPlatform) -> None:
    pair = running_platform.pair.name
    began = time.monotonic()
    try:
        run = carried_out("video-degradation", "--pair", pair, "--mode", "audio")
        seconds = time.monotonic() - began
        walked = vitalops("verify", "--pair", pair, "--seconds", "2", "--output", "json")
        assert "pictures are not sent" in walked.stdout
        prove("video-degradation", run, seconds)
    finally:
        carried_out("video-degradation", "--pair", pair, "--mode", "video")
    walked = vitalops("verify", "--pair", pair, "--seconds", "2", "--output", "json")
    assert "decodes the other's video" in walked.stdout
    print(f"voice alone after {seconds:.1f} s")
