"""What a verification found, in a form that programs read."""

from __future__ import annotations

from dataclasses import dataclass

from vitalops.consultation.quality import Reception
from vitalops.consultation.walk import StepResult, WalkResult


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """One direction of the call: losses in percent, times in ms where they say so, MOS from 1 to 5."""

    receiver: str
    sender: str
    seconds: float
    frame_size: str
    frames_sent: int
    frames_received: int
    frames_decoded: int
    frames_per_second: float
    video_packets: int
    video_loss_percent: float
    video_jitter_ms: float
    audio_packets: int
    audio_loss_percent: float
    audio_jitter_ms: float
    audio_concealed_percent: float
    rtt_ms: float
    mos: float
    freezes: int
    frozen_seconds: float
    join_seconds: float
    first_frame_seconds: float

    @staticmethod
    def of(reception: Reception) -> ReceptionReport:
        return ReceptionReport(
            receiver=reception.receiver,
            sender=reception.sender,
            seconds=round(reception.video.seconds, 2),
            frame_size=reception.frame_size,
            frames_sent=reception.frames_sent,
            frames_received=reception.frames_received,
            frames_decoded=reception.frames_decoded,
            frames_per_second=round(reception.frame_rate, 1),
            video_packets=reception.video.packets,
            video_loss_percent=round(reception.video.loss_percent, 2),
            video_jitter_ms=round(reception.video.jitter_ms, 1),
            audio_packets=reception.audio.packets,
            audio_loss_percent=round(reception.audio.loss_percent, 2),
            audio_jitter_ms=round(reception.audio.jitter_ms, 1),
            audio_concealed_percent=round(reception.concealed_percent, 2),
            rtt_ms=round(reception.rtt_ms, 1),
            mos=round(reception.mos, 2),
            freezes=reception.freezes,
            frozen_seconds=round(reception.frozen_seconds, 2),
            join_seconds=round(reception.join_seconds, 2),
            first_frame_seconds=round(reception.first_frame_seconds, 2),
        )

    @property
    def summary(self) -> str:
        """One line."""
        return (
            f"{self.receiver}: {self.frames_decoded} of {self.frames_sent} frames decoded, {self.frame_size}, "
            f"loss {self.video_loss_percent:g} % video {self.audio_loss_percent:g} % audio, "
            f"jitter {self.audio_jitter_ms:g} ms, round trip {self.rtt_ms:g} ms, MOS {self.mos:g}"
        )


@dataclass(frozen=True, slots=True)
class StepReport:
    name: str
    outcome: str
    seconds: float
    detail: str

    @staticmethod
    def of(result: StepResult) -> StepReport:
        return StepReport(result.name, result.outcome.value, round(result.seconds, 3), result.detail)


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """`failed_step` is empty where everything held."""

    verified: bool
    failed_step: str
    pair: str
    edge: str
    seconds: float
    steps: tuple[StepReport, ...]
    call: tuple[ReceptionReport, ...]

    @staticmethod
    def of(walk: WalkResult, call: tuple[Reception, ...], *, pair: str, edge: str) -> VerificationReport:
        failure = walk.failure
        return VerificationReport(
            verified=failure is None,
            failed_step=failure.name if failure else "",
            pair=pair,
            edge=edge,
            seconds=round(walk.seconds, 3),
            steps=tuple(StepReport.of(step) for step in walk.steps),
            call=tuple(ReceptionReport.of(reception) for reception in call),
        )
