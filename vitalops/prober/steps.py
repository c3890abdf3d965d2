"""The steps of a synthetic consultation: those of a verification that say whether a patient is served.

Leaves out what needs the platform's keys, what only new accounts can show, payments, and every attempt at what must
be refused. All requests together stay far below the gateway's limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Final

from vitalops.consultation import afterwards, before, incall, people, record
from vitalops.consultation.http import Partial, bearer, read
from vitalops.consultation.state import Appointment, Slot, Walk
from vitalops.consultation.walk import Step, StepFailed
from vitalops.prober.regulars import KnownSlot, Regulars

CALL_SECONDS: Final = 2.0
"""How long the call is measured."""
ACCOUNTS: Final = "accounts are there"
SIGN_IN: Final = "both sign in"


class _Grant(Partial):
    purpose: str
    practitioner: str


class _Grants(Partial):
    grants: tuple[_Grant, ...]


class _Ended(Partial):
    state: str
    ended: bool


def probe_steps(regulars: Regulars, client: str) -> tuple[Step[Walk], ...]:
    """One synthetic consultation of `regulars`, who are made where there are none, by `client` of identity."""

    async def accounts(walk: Walk) -> str:
        if regulars.patient is not None and regulars.practitioner is not None:
            walk.patient, walk.practitioner = regulars.patient, regulars.practitioner
            return "those of the walks before"
        walk.operator = await people.operator_token(walk.edge, walk.operator_secret, client)
        patient, practitioner = await asyncio.gather(
            people.register_patient(walk.edge), people.enrol_practitioner(walk.edge, walk.operator)
        )
        regulars.welcome(patient, practitioner, time.time())
        walk.patient, walk.practitioner = patient, practitioner
        return "made for this walk and those to come"

    async def sign_in(walk: Walk) -> str:
        application = before.application(walk)
        now = time.time()
        waits = walk.practitioner.tokens is not None and regulars.has_used_code_of(now)
        coming = [walk.patient] if waits else [walk.patient, walk.practitioner]
        if not waits:
            regulars.use_code_of(now)
        try:
            await asyncio.gather(*(people.let_in(walk.edge, application, person) for person in coming))
        except StepFailed:
            regulars.turn_away(now)
            raise
        return "by the patient alone, the code being used" if waits else "by authorisation code with PKCE"

    async def slot(walk: Walk) -> str:
        now = datetime.now(UTC)
        if regulars.slot is not None and regulars.slot.serves(now):
            walk.slot = regulars.slot.slot
            return "free again"
        start, end = regulars.next_slot(now)
        body = {"starts_at": start.isoformat(), "ends_at": end.isoformat()}
        walk.slot = await walk.edge.create(Slot, "/scheduling/v1/slots", walk.practitioner.token, body)
        regulars.slot = KnownSlot(walk.slot, end)
        return "published"

    async def book(walk: Walk) -> str:
        try:
            walk.appointment = await walk.edge.create(
                Appointment, "/scheduling/v1/appointments", walk.patient.token, {"slot_id": walk.slot.id}
            )
        except StepFailed:
            # Perhaps a walk broke off and could not let go of it.
            regulars.spend_slot()
            raise
        return walk.appointment.status

    async def consent(walk: Walk) -> str:
        path = "/consent/v1/grants"
        if not regulars.consented:
            seen = await before.consent(walk)
            regulars.consented = True
            return seen
        given = await walk.edge.get(_Grants, path, walk.patient.token, {"active": "true"})
        covered = {each.purpose for each in given.grants if each.practitioner == walk.practitioner.subject}
        if missing := [purpose for purpose in before.PURPOSES if purpose not in covered]:
            raise StepFailed(f"the consent to {' and '.join(missing)} is gone")
        return "still given"

    async def note(walk: Walk) -> str:
        if not regulars.encounter:
            await record.open_record(walk)
            regulars.encounter = await record.open_encounter(walk)
        written = await record.add_note(walk, regulars.encounter)
        if await record.note_of(walk, written) != record.NOTE:
            raise StepFailed("the patient reads another note than the practitioner wrote")
        return "written by the practitioner, read by the patient"

    return (
        Step(ACCOUNTS, accounts, limit_seconds=15),
        Step(SIGN_IN, sign_in),
        Step("practitioner has a free slot", slot),
        Step("patient books it", book),
        Step("patient has consented", consent),
        *incall.MEETING,
        Step("note is written and read", note),
        incall.quality_step(CALL_SECONDS),
        Step("they hang up, it is completed", hang_up_and_complete),
        Step("prescription is signed", afterwards.prescribe),
    )


async def hang_up_and_complete(walk: Walk) -> str:
    """As in a verification, without the attempts of latecomers."""
    await walk.call.leave()
    path = f"/consultation/v1/consultations/{walk.consultation_id}/complete"
    response = await walk.edge.ask("POST", path, headers=bearer(walk.practitioner.token))
    seen = read(_Ended, response)
    if (seen.state, seen.ended) != ("completed", True):
        raise StepFailed(f"it is {seen.state}, not completed")
    walk.completed = True
    return seen.state


async def tidy_up(walk: Walk, regulars: Regulars) -> None:
    """Lets go of the slot, so that the next walk can book it; ends a consultation that never became a call.

    Does its best: the walk's own finding counts more.
    """
    if walk.appointment is None:
        return
    with contextlib.suppress(StepFailed):
        headers = bearer(walk.patient.token)
        if not walk.completed and hasattr(walk, "consultation_id"):
            path = f"/consultation/v1/consultations/{walk.consultation_id}/cancellation"
            await walk.edge.send("POST", path, headers=headers)
        path = f"/scheduling/v1/appointments/{walk.appointment.id}/cancellation"
        response = await walk.edge.send("POST", path, headers=headers)
        if response.status_code == 200:
            return
    regulars.spend_slot()
