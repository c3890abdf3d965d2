"""The step after a call in which both clients tell how it arrived, as browsers do from their statistics."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from vitalops.consultation.http import Partial
from vitalops.consultation.people import Person
from vitalops.consultation.quality import Reception
from vitalops.consultation.state import Walk
from vitalops.consultation.walk import Step, StepFailed


class _Verdict(Partial):
    media: str
    state: str


class _Verdicts(Partial):
    streams: tuple[_Verdict, ...]


def report_of(reception: Reception) -> dict[str, Any]:
    """What one receiver counted of both streams, in the words of WebRTC's statistics."""
    video, audio = reception.video, reception.audio
    return {
        "streams": [
            {
                "media": "video",
                "seconds": video.seconds,
                "packets": video.packets,
                "lost": video.lost,
                "jitter_ms": video.jitter_ms,
                "rtt_ms": reception.rtt_ms,
                "frames": reception.frames_decoded,
                "freezes": reception.freezes,
                "frozen_seconds": min(reception.frozen_seconds, video.seconds),
            },
            {
                "media": "audio",
                "seconds": audio.seconds,
                "packets": audio.packets,
                "lost": audio.lost,
                "jitter_ms": audio.jitter_ms,
                "rtt_ms": reception.rtt_ms,
                "concealed_percent": min(100.0, reception.concealed_percent),
            },
        ]
    }


async def report_quality(walk: Walk) -> str:
    """The platform judges each stream by itself; a short call's are too short to be judged, and never poor."""
    people = {"patient": walk.patient, "practitioner": walk.practitioner}
    verdicts = await asyncio.gather(
        *(_report(walk, people[each.receiver], report_of(each)) for each in walk.receptions)
    )
    states = [each.state for verdict in verdicts for each in verdict.streams]
    if len(states) != 4:
        raise StepFailed(f"{len(states)} streams were judged, not 4")
    if poor := states.count("poor"):
        raise StepFailed(f"{poor} of {len(states)} streams were judged poor")
    counted = {state: states.count(state) for state in sorted(set(states))}
    return "by both parties: " + ", ".join(f"{count} {state}" for state, count in counted.items())


async def _report(walk: Walk, person: Person, body: dict[str, Any]) -> _Verdicts:
    path = f"/consultation/v1/consultations/{walk.consultation_id}/quality"
    return await walk.edge.create(_Verdicts, path, person.token, body)


STEPS: Final = (Step("both report the call's quality", report_quality),)
