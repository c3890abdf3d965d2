"""Test participants of a call: they join a LiveKit room, send a clip and a tone, and count what reaches them.

Runs as a process of its own (`python -m vitalops.consultation.media`), for three reasons: the native
library takes the certificate authorities it trusts from SSL_CERT_FILE; a fault in it cannot take the caller
along; and the caller can put a time limit on all of it. Speaks JSON, one document a line: a job comes in on
stdin (tokens never stand on a command line), events go out on stdout. `call.py` is the other end.

Stdin:  the job, `{"url", "seconds", "participants": [{"name", "token", "mode"}, ...]}`, then "stop".
        Its end means that the caller is gone: leave at once.
Stdout: ready, joined (each), flowing, measured with every reception, left; or failed with a problem.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from array import array
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from vitalops.consultation import ivf
from vitalops.consultation.mode import CallMode
from vitalops.consultation.quality import Reception, StreamCount

if TYPE_CHECKING:
    from livekit import rtc

SAMPLE_RATE = 48_000
AUDIO_FRAME_SECONDS = 0.02
AUDIO_QUEUE_MS = 200
TONE_HZ = 440.0
POLL_SECONDS = 0.1
CONNECT_SECONDS = 10.0
FLOW_SECONDS = 15.0


class MediaFailed(Exception):
    """A participant could not join, or nothing arrived."""


@dataclass(frozen=True, slots=True)
class _Count:
    """Running totals of one incoming track."""

    packets: int = 0
    lost: int = 0
    jitter: float = 0.0
    frames_received: int = 0
    frames_decoded: int = 0
    frames_dropped: int = 0
    width: int = 0
    height: int = 0
    freezes: int = 0
    frozen_seconds: float = 0.0
    samples: int = 0
    concealed: int = 0


@dataclass(slots=True)
class _Participant:
    """One end of the call. `began` is when it first tried to connect."""

    name: str
    token: str
    room: rtc.Room
    mode: CallMode = CallMode.VIDEO
    began: float = 0.0
    join_seconds: float = 0.0
    first_frame_seconds: float = 0.0
    tracks: dict[str, rtc.Track] = field(default_factory=dict[str, "rtc.Track"])
    """Incoming tracks by kind, "audio" and "video"."""
    sender: str = ""
    frames_sent: int = 0
    problem: str = ""
    senders: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    @property
    def pictures(self) -> bool:
        """Whether it sends, and expects, any."""
        return self.mode in (CallMode.VIDEO, CallMode.LOW)


def emit(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def tone(start_sample: int, samples: int) -> array[int]:
    """A sine whose loudness swings once a second, so that no encoder takes it for silence. 16-bit mono."""
    angles = (math.tau * n / SAMPLE_RATE for n in range(start_sample, start_sample + samples))
    return array("h", (int(3600 * (1.2 + math.sin(angle)) * math.sin(TONE_HZ * angle)) for angle in angles))


async def _connect(url: str, participant: _Participant) -> None:
    from livekit import rtc

    room = participant.room

    def subscribed(track: rtc.Track, _publication: object, remote: rtc.RemoteParticipant) -> None:
        kind = "video" if track.kind == rtc.TrackKind.KIND_VIDEO else "audio"
        participant.tracks[kind] = track
        participant.sender = remote.identity

    def disconnected(reason: object) -> None:
        participant.problem = f"disconnected by the server, reason {reason}"

    # The library leaves its callbacks' result untyped.
    room.on("track_subscribed", subscribed)  # pyright: ignore[reportUnknownMemberType]
    room.on("disconnected", disconnected)  # pyright: ignore[reportUnknownMemberType]
    participant.began = time.perf_counter()
    try:
        await asyncio.wait_for(
            room.connect(url, participant.token, rtc.RoomOptions(connect_timeout=CONNECT_SECONDS)),
            CONNECT_SECONDS + 1,
        )
    except TimeoutError as timeout:
        raise MediaFailed(
            f"{participant.name} could not join {url} within {CONNECT_SECONDS:g} s"
        ) from timeout
    except rtc.ConnectError as refusal:
        raise MediaFailed(f"{participant.name} could not join {url}: {refusal.message}") from refusal
    participant.join_seconds = time.perf_counter() - participant.began
    emit("joined", who=participant.name, seconds=participant.join_seconds)


async def _publish(participant: _Participant, clip: ivf.Clip) -> None:
    from livekit import rtc

    camera = rtc.EncodedVideoSource(clip.width, clip.height)
    video = rtc.LocalVideoTrack.create_video_track("camera", camera)  # pyright: ignore[reportArgumentType]
    microphone = rtc.AudioSource(SAMPLE_RATE, 1, AUDIO_QUEUE_MS)
    audio = rtc.LocalAudioTrack.create_audio_track("microphone", microphone)
    local = participant.room.local_participant
    publishing = [
        local.publish_track(
            audio,
            # Without redundancy and silence suppression, so that what is lost on the way is seen to be lost.
            rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False),
        )
    ]
    if participant.pictures:
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            simulcast=False,
            video_codec=rtc.VideoCodec.VP8,
            video_encoder=rtc.VideoEncoderBackend.ENCODER_BACKEND_PRE_ENCODED,
        )
        publishing.append(local.publish_track(video, options))
    await asyncio.gather(*publishing)
    participant.senders.append(asyncio.create_task(_play_tone(microphone)))
    if participant.pictures:
        participant.senders.append(asyncio.create_task(_play_clip(camera, clip, participant)))


async def _play_clip(camera: rtc.EncodedVideoSource, clip: ivf.Clip, participant: _Participant) -> None:
    from livekit import rtc

    index = 0
    due = time.perf_counter()
    while True:
        # A decoder that lost its way asks for a key frame; a clip can only skip to its next one.
        if camera.take_feedback().keyframe_requested:
            index = clip.next_key(index)
        frame = clip.frames[index % len(clip.frames)]
        kind = (
            rtc.EncodedFrameType.ENCODED_FRAME_KEY if frame.key else rtc.EncodedFrameType.ENCODED_FRAME_DELTA
        )
        camera.capture_frame(
            rtc.EncodedVideoFrame(
                frame.data, clip.width, clip.height, rtc.VideoCodec.VP8, kind, int(time.time() * 1e6)
            )
        )
        participant.frames_sent += 1
        index += 1
        # The clip is encoded already: where little may be sent, it is sent more slowly.
        due += (2 if participant.mode is CallMode.LOW else 1) / clip.frames_per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


async def _play_tone(microphone: rtc.AudioSource) -> None:
    from livekit import rtc

    samples = int(SAMPLE_RATE * AUDIO_FRAME_SECONDS)
    second = [tone(start, samples) for start in range(0, SAMPLE_RATE, samples)]
    index = 0
    while True:
        # Returns when the source has taken the frame: its queue is the clock.
        await microphone.capture_frame(
            rtc.AudioFrame(second[index % len(second)].tobytes(), SAMPLE_RATE, 1, samples)
        )
        index += 1


async def _count(track: rtc.Track) -> _Count:
    for entry in await track.get_stats():
        if entry.HasField("inbound_rtp"):
            received, inbound = entry.inbound_rtp.received, entry.inbound_rtp.inbound
            return _Count(
                packets=received.packets_received,
                lost=received.packets_lost,
                jitter=received.jitter,
                frames_received=inbound.frames_received,
                frames_decoded=inbound.frames_decoded,
                frames_dropped=inbound.frames_dropped,
                width=inbound.frame_width,
                height=inbound.frame_height,
                freezes=inbound.freeze_count,
                frozen_seconds=inbound.total_freeze_duration,
                samples=inbound.total_samples_received,
                concealed=inbound.concealed_samples,
            )
    return _Count()


async def _rtt_ms(room: rtc.Room) -> float:
    """Mean round trip of the connectivity checks on the chosen path, milliseconds."""
    stats = await room.get_rtc_stats()
    pairs = [
        entry.candidate_pair.candidate_pair
        for entry in (*stats.publisher_stats, *stats.subscriber_stats)
        if entry.HasField("candidate_pair") and entry.candidate_pair.candidate_pair.nominated
    ]
    means = [
        1000 * (pair.total_round_trip_time / pair.responses_received)
        for pair in pairs
        if pair.responses_received
    ]
    if not means:
        raise MediaFailed("no connectivity check was answered")
    return max(means)


async def _flowing(participant: _Participant) -> None:
    """Returns when a frame was decoded and an audio packet received."""
    deadline = time.perf_counter() + FLOW_SECONDS
    seen = {"video": 0, "audio": 0} if participant.pictures else {"audio": 0}
    while time.perf_counter() < deadline:
        if participant.problem:
            raise MediaFailed(f"{participant.name} was {participant.problem}")
        if participant.pictures and (video := participant.tracks.get("video")):
            seen["video"] = (await _count(video)).frames_decoded
            if seen["video"] and not participant.first_frame_seconds:
                participant.first_frame_seconds = time.perf_counter() - participant.began
        if audio := participant.tracks.get("audio"):
            seen["audio"] = (await _count(audio)).packets
        if all(seen.values()):
            return
        await asyncio.sleep(POLL_SECONDS)
    raise MediaFailed(
        f"{participant.name} decoded {seen.get('video', 0)} frames and received {seen['audio']} audio packets "
        f"within {FLOW_SECONDS:g} s of joining; is the media port reachable?"
    )


async def _totals(participant: _Participant) -> tuple[float, _Count, _Count]:
    audio = await _count(participant.tracks["audio"])
    video = await _count(participant.tracks["video"]) if participant.pictures else _Count()
    return time.perf_counter(), video, audio


async def _measure(participant: _Participant, peer: _Participant, seconds: float) -> Reception:
    began, video0, audio0 = await _totals(participant)
    sent = peer.frames_sent
    await asyncio.sleep(seconds)
    ended, video1, audio1 = await _totals(participant)
    sent = peer.frames_sent - sent
    if participant.problem:
        raise MediaFailed(f"{participant.name} was {participant.problem}")
    elapsed = ended - began
    samples = audio1.samples - audio0.samples
    return Reception(
        receiver=participant.name,
        sender=participant.sender,
        video=_stream(elapsed if participant.pictures else 0.0, video0, video1),
        audio=_stream(elapsed, audio0, audio1),
        frames_sent=sent,
        frames_received=video1.frames_received - video0.frames_received,
        frames_decoded=video1.frames_decoded - video0.frames_decoded,
        frames_dropped=video1.frames_dropped - video0.frames_dropped,
        frame_size=f"{video1.width}x{video1.height}",
        freezes=video1.freezes - video0.freezes,
        frozen_seconds=video1.frozen_seconds - video0.frozen_seconds,
        concealed_percent=100.0 * (audio1.concealed - audio0.concealed) / samples if samples else 0.0,
        rtt_ms=await _rtt_ms(participant.room),
        join_seconds=participant.join_seconds,
        first_frame_seconds=participant.first_frame_seconds,
        has_video=participant.pictures,
    )


def _stream(seconds: float, before: _Count, after: _Count) -> StreamCount:
    return StreamCount(seconds, after.packets - before.packets, after.lost - before.lost, 1000 * after.jitter)


async def _leave(participants: list[_Participant]) -> None:
    for participant in participants:
        for task in participant.senders:
            task.cancel()
        await asyncio.gather(*participant.senders, return_exceptions=True)
        if participant.room.isconnected():
            await participant.room.disconnect()


async def take_part(job: dict[str, Any], stop: asyncio.Event) -> None:
    """The two participants of `job` join, send, count for its `seconds`, and stay until `stop` is set."""
    from livekit import rtc

    clip = ivf.bundled_pattern()
    participants = [
        _Participant(each["name"], each["token"], rtc.Room(), CallMode(each.get("mode", CallMode.VIDEO)))
        for each in job["participants"]
    ]
    try:
        await asyncio.gather(*(_connect(job["url"], each) for each in participants))
        await asyncio.gather(*(_publish(each, clip) for each in participants))
        await asyncio.gather(*(_flowing(each) for each in participants))
        emit("flowing")
        receptions = await asyncio.gather(
            *(
                _measure(each, peer, job["seconds"])
                for each, peer in zip(participants, reversed(participants), strict=True)
            )
        )
        emit("measured", receptions=[asdict(each) for each in receptions])
        await stop.wait()
    finally:
        await _leave(participants)
    emit("left")


async def _main() -> int:
    from livekit import rtc

    # Reading a class attribute of the package is not enough to load the native library; making a room is.
    rtc.Room()
    emit("ready")
    loop = asyncio.get_running_loop()
    line = await loop.run_in_executor(None, sys.stdin.readline)
    if not line:
        return 0
    stop = asyncio.Event()
    call = asyncio.create_task(take_part(json.loads(line), stop))
    waiting = loop.run_in_executor(None, sys.stdin.readline)
    await asyncio.wait((call, waiting), return_when=asyncio.FIRST_COMPLETED)
    if not call.done():
        # An empty line is the end of file: the caller is gone, nobody wants the figures.
        if waiting.result():
            stop.set()
        else:
            call.cancel()
    try:
        await call
    except asyncio.CancelledError:
        return 1
    except MediaFailed as failure:
        emit("failed", problem=str(failure))
        return 1
    except Exception as fault:
        # The library raises bare Exceptions: whatever it is, the caller must hear of it in one line.
        emit("failed", problem=f"a participant failed: {type(fault).__name__}: {fault}")
        return 1
    return 0


def main() -> None:
    import os

    status = asyncio.run(_main())
    sys.stdout.flush()
    # The thread that reads stdin may still be blocked in it; nothing is left to clean up.
    os._exit(status)


if __name__ == "__main__":
    main()
