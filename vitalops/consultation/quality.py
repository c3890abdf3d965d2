"""How a call sounded and looked, from what its receivers counted.

Voice quality is a mean opinion score (MOS, 1 bad to 5 excellent) by the simplified E-model of ITU-T G.107: a
transmission rating R falls with delay and loss, and annex B of G.107 maps R to MOS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BASE_RATING: Final = 94.768
"""R of an undisturbed narrow-band call (G.107's defaults, without what the simplified model leaves out)."""
RATING_LOSS_PER_PERCENT: Final = 2.5
FIXED_DELAY_MS: Final = 10.0
"""Codec and playout delay assumed by the simplified model."""
DELAY_KNEE_MS: Final = 160.0
"""Below it delay is hardly noticed; above it people begin to talk over each other."""


def rating(rtt_ms: float, jitter_ms: float, loss_percent: float) -> float:
    """Transmission rating R, 0 to 100. Jitter counts twice, as the buffer that hides it adds delay."""
    delay = rtt_ms + 2 * jitter_ms + FIXED_DELAY_MS
    value = BASE_RATING - (delay / 40 if delay < DELAY_KNEE_MS else (delay - 120) / 10)
    return min(100.0, max(0.0, value - RATING_LOSS_PER_PERCENT * loss_percent))


def opinion_score(r: float) -> float:
    """MOS of a rating R (G.107 annex B). The cubic dips below 1 for R under 6.5, where annex B says 1."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r))


def mean_opinion_score(rtt_ms: float, jitter_ms: float, loss_percent: float) -> float:
    """MOS of a call with this round-trip time, jitter (both ms) and packet loss (percent)."""
    return opinion_score(rating(rtt_ms, jitter_ms, loss_percent))


def loss_percent(received: int, lost: int) -> float:
    """Share of the packets sent that did not arrive, percent. Duplicates make RFC 3550's `lost` negative."""
    lost = max(0, lost)
    expected = received + lost
    return 100.0 * lost / expected if expected else 0.0


@dataclass(frozen=True, slots=True)
class StreamCount:
    """What one receiver counted of one incoming stream. All counts are over `seconds`."""

    seconds: float
    packets: int
    lost: int
    jitter_ms: float

    @property
    def loss_percent(self) -> float:
        return loss_percent(self.packets, self.lost)


@dataclass(frozen=True, slots=True)
class Reception:
    """One direction of a call, as counted where it arrived.

    `rtt_ms` is the receiver's round trip to the media server. Freezes are as WebRTC counts them: a gap
    between two decoded frames of more than three average gaps, and of 150 ms more than the average.
    """

    receiver: str
    sender: str
    video: StreamCount
    audio: StreamCount
    frames_sent: int
    """Given to the sender's encoder in the same time; a frame or two are on their way at either end of it."""
    frames_received: int
    frames_decoded: int
    frames_dropped: int
    frame_size: str
    freezes: int
    frozen_seconds: float
    concealed_percent: float
    """Share of the audio played that was made up because nothing had arrived, percent."""
    rtt_ms: float
    join_seconds: float
    """From the attempt to connect to being in the room."""
    first_frame_seconds: float
    """From the attempt to connect to the first decoded frame of the other party."""
    has_video: bool = True
    """Whether pictures were to be sent: in a call of voice alone they are not."""

    @property
    def frame_rate(self) -> float:
        return self.frames_decoded / self.video.seconds if self.video.seconds > 0 else 0.0

    @property
    def frozen_percent(self) -> float:
        return 100.0 * self.frozen_seconds / self.video.seconds if self.video.seconds > 0 else 0.0

    @property
    def mos(self) -> float:
        """MOS of the audio on this receiver's leg."""
        return mean_opinion_score(self.rtt_ms, self.audio.jitter_ms, self.audio.loss_percent)


@dataclass(frozen=True, slots=True)
class QualityGate:
    """What a call must reach. Loss is that of an impaired network: a verification is not a load test."""

    minimum_frame_rate: float = 5.0
    minimum_decoded_percent: float = 80.0
    """Share of the frames sent that must have been decoded: a slow sender is not the platform's fault."""
    maximum_loss_percent: float = 3.0
    maximum_rtt_ms: float = 300.0
    minimum_mos: float = 3.5

    def faults(self, reception: Reception) -> tuple[str, ...]:
        """What is wrong with one direction, each with the figure seen and the limit."""
        to, limit = reception.receiver, self.maximum_loss_percent
        checks = (
            (
                reception.has_video and reception.frame_rate < self.minimum_frame_rate,
                f"{to} decoded {reception.frames_decoded} frames in {reception.video.seconds:.1f} s, "
                f"fewer than {self.minimum_frame_rate:g} a second",
            ),
            (
                reception.frames_decoded < reception.frames_sent * self.minimum_decoded_percent / 100,
                f"{to} decoded {reception.frames_decoded} of {reception.frames_sent} frames sent, "
                f"less than {self.minimum_decoded_percent:g} %",
            ),
            (reception.audio.packets == 0, f"{to} received no audio"),
            (
                reception.video.loss_percent > limit,
                f"{to} lost {reception.video.loss_percent:.1f} % of video packets, over {limit:g} %",
            ),
            (
                reception.audio.loss_percent > limit,
                f"{to} lost {reception.audio.loss_percent:.1f} % of audio packets, over {limit:g} %",
            ),
            (
                reception.rtt_ms > self.maximum_rtt_ms,
                f"{to} saw a round trip of {reception.rtt_ms:.0f} ms, over {self.maximum_rtt_ms:g} ms",
            ),
            (
                reception.mos < self.minimum_mos,
                f"{to} heard a MOS of {reception.mos:.2f}, under {self.minimum_mos:g}",
            ),
        )
        return tuple(text for failed, text in checks if failed)
