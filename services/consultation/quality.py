"""How a stream of a call arrived, from what its receiver's WebRTC statistics counted.

Its state is one of the three of Microsoft's Call Quality Dashboard for Teams ("Stream Classification in Call Quality
Dashboard", learn.microsoft.com/microsoftteams/stream-classification-in-call-quality-dashboard):

- audio is poor when one of these holds: round trip above 500 ms, packet loss above 0.1, jitter above 30 ms, ratio of
  concealed samples above 0.07. It is judged when more than 500 packets were counted ("packet utilization"), about ten
  seconds of speech.
- video is poor when one of these holds: frame loss above 50 %, frame rate below 7, packet loss after error correction
  above 0.15. Teams goes by the first of the three that is known. Here any of them decides, because a browser knows
  neither Teams' frame loss (the time for which the picture stood still stands for it) nor the loss after correction
  (plain packet loss does), and a picture that stopped for good is not yet a freeze that WebRTC has counted.
- unclassified is what cannot be judged: no media came, or too little. For video Teams gives no figure, but its
  reports set streams of five seconds or less apart, so those are not judged.

The voice's mean opinion score is that of the simplified E-model of ITU-T G.107, the same as the verification's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

AUDIO_ROUND_TRIP_MS: Final = 500.0
AUDIO_LOSS: Final = 0.1
AUDIO_JITTER_MS: Final = 30.0
AUDIO_CONCEALED: Final = 0.07
AUDIO_PACKETS: Final = 500
VIDEO_FRAME_LOSS: Final = 0.5
VIDEO_FRAME_RATE: Final = 7.0
VIDEO_LOSS: Final = 0.15
VIDEO_SECONDS: Final = 5.0


class Media(StrEnum):
    AUDIO = "audio"
    VIDEO = "video"


class StreamState(StrEnum):
    GOOD = "good"
    POOR = "poor"
    UNCLASSIFIED = "unclassified"


@dataclass(frozen=True, slots=True)
class Stream:
    """What a receiver counted of one incoming stream over `seconds`."""

    media: Media
    seconds: float
    packets: int
    lost: int
    """As RFC 3550 counts it: negative when packets came twice."""
    jitter_ms: float
    rtt_ms: float
    frames: int | None = None
    """Video: frames decoded."""
    frozen_seconds: float | None = None
    """Video: time for which the picture stood still (WebRTC's totalFreezesDuration)."""
    concealed_percent: float | None = None
    """Audio: share of what was played that was made up because nothing had arrived."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A stream's figures, and what they amount to."""

    media: Media
    state: StreamState
    loss_ratio: float
    jitter_seconds: float
    rtt_seconds: float
    mos: float | None
    """Audio only."""
    freeze_ratio: float | None
    """Video only, where it was reported."""


def loss_ratio(received: int, lost: int) -> float:
    """Share of the packets sent that did not arrive, 0 to 1."""
    missing = max(0, lost)
    expected = received + missing
    return missing / expected if expected else 0.0


def mean_opinion_score(rtt_ms: float, jitter_ms: float, loss: float) -> float:
    """MOS, 1 (bad) to 4.5, from round trip and jitter (ms) and lost packets (ratio).

    Simplified E-model (ITU-T G.107): delay and loss lower a rating R from 94.768, and annex B maps R to MOS.
    """
    delay = rtt_ms + 2 * jitter_ms + 10
    rating = 94.768 - (delay / 40 if delay < 160 else (delay - 120) / 10) - 250 * loss
    if rating <= 0:
        return 1.0
    rating = min(rating, 100.0)
    return max(1.0, 1 + 0.035 * rating + 7e-6 * rating * (rating - 60) * (100 - rating))


def classify(stream: Stream) -> StreamState:
    """Teams' state of a stream; see the module for the rules."""
    if stream.media is Media.AUDIO:
        return _audio(stream)
    return _video(stream)


def judge(stream: Stream) -> Judged:
    """The stream's figures and state."""
    loss = loss_ratio(stream.packets, stream.lost)
    frozen = stream.frozen_seconds
    return Judged(
        media=stream.media,
        state=classify(stream),
        loss_ratio=loss,
        jitter_seconds=stream.jitter_ms / 1000,
        rtt_seconds=stream.rtt_ms / 1000,
        mos=mean_opinion_score(stream.rtt_ms, stream.jitter_ms, loss)
        if stream.media is Media.AUDIO
        else None,
        freeze_ratio=frozen / stream.seconds if frozen is not None and stream.seconds else None,
    )


def _audio(stream: Stream) -> StreamState:
    if stream.packets <= AUDIO_PACKETS:
        return StreamState.UNCLASSIFIED
    poor = (
        stream.rtt_ms > AUDIO_ROUND_TRIP_MS
        or loss_ratio(stream.packets, stream.lost) > AUDIO_LOSS
        or stream.jitter_ms > AUDIO_JITTER_MS
        or (stream.concealed_percent or 0.0) > 100 * AUDIO_CONCEALED
    )
    return StreamState.POOR if poor else StreamState.GOOD


def _video(stream: Stream) -> StreamState:
    if stream.packets <= 0 or stream.seconds <= VIDEO_SECONDS:
        return StreamState.UNCLASSIFIED
    poor = (
        (stream.frozen_seconds or 0.0) / stream.seconds > VIDEO_FRAME_LOSS
        or (stream.frames is not None and stream.frames / stream.seconds < VIDEO_FRAME_RATE)
        or loss_ratio(stream.packets, stream.lost) > VIDEO_LOSS
    )
    return StreamState.POOR if poor else StreamState.GOOD
