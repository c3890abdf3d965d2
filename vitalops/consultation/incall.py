"""The steps of the call itself: opening, waiting room, real media both ways, and what the platform saw of it."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from vitalops.consultation.call import Seat
from vitalops.consultation.http import Partial, bearer, read, told, until
from vitalops.consultation.mode import CallMode
from vitalops.consultation.people import Person
from vitalops.consultation.quality import Reception, StreamCount
from vitalops.consultation.state import Walk
from vitalops.consultation.walk import Step, StepFailed

WEBHOOK_SECONDS: Final = 8.0
"""The media server tells of what happens in a room in its own time."""


class _Consultation(Partial):
    id: str
    state: str
    ended: bool
    admitted_at: str | None = None
    media_at: str | None = None


class _Join(Partial):
    status: str
    mode: CallMode = CallMode.VIDEO
    url: str | None = None
    token: str | None = None
    position: int | None = None


class _WaitingRoom(Partial):
    waiting: tuple[_Consultation, ...]


def _path(walk: Walk, *more: str) -> str:
    return "/".join(("/consultation/v1/consultations", walk.consultation_id, *more))


async def _join(walk: Walk, person: Person, expect: int) -> _Join:
    path = _path(walk, "join")
    return read(_Join, await walk.edge.ask("POST", path, expect=(expect,), headers=bearer(person.token)))


async def open_consultation(walk: Walk) -> str:
    assert walk.appointment is not None
    body = {"appointment_id": walk.appointment.id}
    opened = await walk.edge.create(
        _Consultation, "/consultation/v1/consultations", walk.practitioner.token, body
    )
    walk.consultation_id = opened.id
    again = await walk.edge.create(_Consultation, "/consultation/v1/consultations", walk.patient.token, body)
    if again.id != opened.id:
        raise StepFailed("the patient got another consultation than the practitioner")
    return f"by the practitioner, found by the patient, {opened.state}"


async def wait_and_admit(walk: Walk) -> str:
    knocked = await _join(walk, walk.patient, 202)
    if knocked.token:
        raise StepFailed("the patient got a join token without being admitted")
    room = await walk.edge.get(_WaitingRoom, "/consultation/v1/waiting-room", walk.practitioner.token)
    if walk.consultation_id not in [each.id for each in room.waiting]:
        raise StepFailed("the practitioner does not see the patient in the waiting room")
    response = await walk.edge.ask("POST", _path(walk, "admit"), headers=bearer(walk.practitioner.token))
    if not read(_Consultation, response).admitted_at:
        raise StepFailed("admitted, and yet not")
    return f"place {knocked.position} in the waiting room, admitted"


async def join_call(walk: Walk) -> str:
    seats: list[Seat] = []
    url = ""
    for person in (walk.patient, walk.practitioner):
        granted = await _join(walk, person, 200)
        if not granted.token or not granted.url:
            raise StepFailed(f"the {person.role} got no way into the room ({granted.status})")
        url = walk.edge.way_to(granted.url)
        seats.append(Seat(person.role, granted.token, granted.mode))
        walk.mode = granted.mode
    await walk.call.begin(url, seats, walk.seconds)
    seconds = await walk.call.joined()
    return ", ".join(f"{who} in {taken:.2f} s" for who, taken in sorted(seconds.items()))


async def media_flows(walk: Walk) -> str:
    await walk.call.flowing()
    if walk.mode is CallMode.AUDIO:
        return "each receives the other's audio; pictures are not sent at present"
    small = ", small pictures" if walk.mode is CallMode.LOW else ""
    return f"each decodes the other's video and receives the other's audio{small}"


async def platform_sees_call(walk: Walk) -> str:
    async def look() -> _Consultation:
        return await walk.edge.get(_Consultation, _path(walk), walk.patient.token)

    seen = await until(
        look, lambda now: now.state == "in_call", WEBHOOK_SECONDS, lambda now: f"{now.state}, not in_call"
    )
    return f"{seen.state} since {seen.media_at}"


class _Verdict(Partial):
    media: str
    state: str


class _Verdicts(Partial):
    streams: tuple[_Verdict, ...]


def quality_report(reception: Reception) -> dict[str, Any]:
    """What a party tells the platform of the streams it received."""

    def counted(media: str, stream: StreamCount) -> dict[str, Any]:
        return {
            "media": media,
            "seconds": round(stream.seconds, 3),
            "packets": stream.packets,
            "lost": stream.lost,
            "jitter_ms": round(stream.jitter_ms, 3),
            "rtt_ms": round(reception.rtt_ms, 3),
        }

    audio = counted("audio", reception.audio) | {"concealed_percent": round(reception.concealed_percent, 3)}
    if not reception.has_video:
        return {"streams": [audio]}
    video = counted("video", reception.video) | {
        "frames": reception.frames_decoded,
        "freezes": reception.freezes,
        "frozen_seconds": round(min(reception.frozen_seconds, reception.video.seconds), 3),
    }
    return {"streams": [audio, video]}


async def report_quality(walk: Walk) -> tuple[str, ...]:
    """Both parties tell the platform how the call arrived, as their clients do; its verdicts."""
    seen: list[str] = []
    for person in (walk.patient, walk.practitioner):
        for reception in (each for each in walk.receptions if each.receiver == person.role):
            verdicts = await walk.edge.create(
                _Verdicts, _path(walk, "quality"), person.token, quality_report(reception)
            )
            seen += [f"{verdict.media} {verdict.state}" for verdict in verdicts.streams]
    return tuple(seen)


async def quality_holds(walk: Walk) -> str:
    walk.receptions = await walk.call.measured()
    verdicts = await report_quality(walk)
    faults = [fault for reception in walk.receptions for fault in walk.gate.faults(reception)]
    if len(walk.receptions) != 2:
        faults.append(f"{len(walk.receptions)} directions were measured, not 2")
    streams = sum(2 if reception.has_video else 1 for reception in walk.receptions)
    if len(verdicts) != streams:
        faults.append(f"the platform judged {len(verdicts)} streams, not {streams}")
    if faults:
        raise StepFailed("; ".join(faults))
    return (
        ", ".join(
            f"{each.receiver} {each.frames_decoded}/{each.frames_sent} frames, MOS {each.mos:.2f}"
            for each in walk.receptions
        )
        + f"; the platform judges {_counted(verdicts)}"
    )


def _counted(verdicts: tuple[str, ...]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(Counter(verdicts).items()))


async def hang_up_and_complete(walk: Walk) -> str:
    await walk.call.leave()
    response = await walk.edge.ask("POST", _path(walk, "complete"), headers=bearer(walk.practitioner.token))
    walk.completed = True
    for person in (walk.patient, walk.practitioner):
        seen = await walk.edge.get(_Consultation, _path(walk), person.token)
        if (seen.state, seen.ended) != ("completed", True):
            raise StepFailed(f"the {person.role} sees it as {seen.state}, not completed")
    late = await walk.edge.send("POST", _path(walk, "join"), headers=bearer(walk.patient.token))
    if late.status_code != 409:
        raise StepFailed(f"joining after the end was answered {told(late)}, not 409")
    return f"{read(_Consultation, response).state}, closed to latecomers"


MEETING: Final = (
    Step("consultation is opened", open_consultation),
    Step("patient waits and is admitted", wait_and_admit),
    Step("both join the call", join_call, limit_seconds=20),
    Step("video and audio flow both ways", media_flows, limit_seconds=20),
    Step("platform sees the call", platform_sees_call),
)


def quality_step(seconds: float) -> Step[Walk]:
    """Waits for the measurement of `seconds` to end, has both parties report it, and judges it."""
    return Step("call quality holds", quality_holds, limit_seconds=seconds + 15)


PARTING: Final = (Step("they hang up, it is completed", hang_up_and_complete),)
