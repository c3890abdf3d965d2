"""Rehearsal of video-degradation: voice alone, for calls that run and calls that begin; then video again."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import RunningPlatform, vitalops
from tests.cluster.runbooks.rehearsing import rehearse

pytestmark = pytest.mark.rehearsal


def test_calls_become_voice_alone_and_video_again(running_platform: RunningPlatform) -> None:
    pair = running_platform.pair.name
    try:
        rehearse(running_platform, "video-degradation", "--pair", pair, "--mode", "audio")
        walked = vitalops("verify", "--pair", pair, "--seconds", "2", "--output", "json")
        assert "pictures are not sent" in walked.stdout
    finally:
        vitalops("--yes", "runbook", "run", "video-degradation", "--pair", pair, "--mode", "video")
    walked = vitalops("verify", "--pair", pair, "--seconds", "2", "--output", "json")
    assert "decodes the other's video" in walked.stdout
