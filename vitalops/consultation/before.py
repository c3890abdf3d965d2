"""The steps before a call: accounts, sign-in, booking, consent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from vitalops.consultation import people, tokens, trail
from vitalops.consultation.http import Partial, bearer
from vitalops.consultation.signin import Application, discover
from vitalops.consultation.state import Appointment, Slot, Walk
from vitalops.consultation.walk import Step, StepFailed

WEB_CLIENT: Final = "vitalops-web"
SCOPE: Final = "openid profile"
SLOT_MINUTES: Final = 15
PURPOSES: Final = ("care", "teleconsultation")


def application(walk: Walk) -> Application:
    """The platform's public web client; nobody needs to listen at its redirect URI."""
    return Application(WEB_CLIENT, f"{walk.edge.url}/callback", SCOPE)


async def reach_edge(walk: Walk) -> str:
    provider = await discover(walk.edge)
    keys = (await walk.edge.ask("GET", provider.jwks_uri)).json()
    walk.token_keys = tokens.key_set(keys)
    return f"{provider.issuer}, {len(keys['keys'])} public keys"


async def make_accounts(walk: Walk) -> str:
    walk.operator = await people.operator_token(walk.edge, walk.operator_secret)
    walk.audit_start = await trail.head(walk)
    walk.patient, walk.stranger, walk.practitioner = await asyncio.gather(
        people.register_patient(walk.edge),
        people.register_patient(walk.edge),
        people.enrol_practitioner(walk.edge, walk.operator),
    )
    return "two patients registered, a practitioner enrolled by the operator"


async def practitioner_signs_in(walk: Walk) -> str:
    return await _sign_in(walk, walk.practitioner, {"pwd", "otp"})


async def patient_signs_in(walk: Walk) -> str:
    seen, _ = await asyncio.gather(
        _sign_in(walk, walk.patient, {"pwd"}), people.let_in(walk.edge, application(walk), walk.stranger)
    )
    return seen


async def _sign_in(walk: Walk, person: people.Person, factors: set[str]) -> str:
    await people.let_in(walk.edge, application(walk), person)
    content = tokens.part(person.token, 1)
    for name, wanted in (("sub", person.subject), ("role", person.role)):
        if content.get(name) != wanted:
            raise StepFailed(f"the token says {name} {content.get(name)!r}, not {wanted!r}")
    used = set(content.get("amr", ()))
    if not factors <= used:
        raise StepFailed(f"the token says amr {sorted(used)}, without {sorted(factors - used)}")
    return f"authorisation code with PKCE, {' and '.join(sorted(factors, reverse=True))}"


async def publish_slot(walk: Walk) -> str:
    start = datetime.now(UTC).replace(microsecond=0)
    body = {"starts_at": start.isoformat(), "ends_at": (start + timedelta(minutes=SLOT_MINUTES)).isoformat()}
    walk.slot = await walk.edge.create(Slot, "/scheduling/v1/slots", walk.practitioner.token, body)
    return f"{SLOT_MINUTES} minutes from now"


class _Slots(Partial):
    slots: tuple[Slot, ...]


async def book(walk: Walk) -> str:
    free = await walk.edge.get(
        _Slots,
        "/scheduling/v1/slots",
        walk.patient.token,
        {
            "practitioner": walk.practitioner.subject,
            "since": (datetime.now(UTC) - timedelta(minutes=1)).isoformat(),
        },
    )
    if walk.slot.id not in [slot.id for slot in free.slots]:
        raise StepFailed(f"the patient does not find the slot among {len(free.slots)} free ones")
    booked = await walk.edge.create(
        Appointment, "/scheduling/v1/appointments", walk.patient.token, {"slot_id": walk.slot.id}
    )
    walk.appointment = booked
    if (booked.patient, booked.practitioner) != (walk.patient.subject, walk.practitioner.subject):
        raise StepFailed("the appointment is not between these two")
    return f"found and booked, {booked.status}"


class _Purpose(Partial):
    name: str
    version: int


class _Grant(Partial):
    id: str
    proof: str


async def consent(walk: Walk) -> str:
    answer = await walk.edge.ask("GET", "/consent/v1/purposes", headers=bearer(walk.patient.token))
    offered = {purpose.name: purpose for purpose in (_Purpose.model_validate(each) for each in answer.json())}
    if missing := [name for name in PURPOSES if name not in offered]:
        raise StepFailed(f"no text to consent to for {' and '.join(missing)}")
    for name in PURPOSES:
        body = {
            "practitioner": walk.practitioner.subject,
            "purpose": name,
            "text_version": offered[name].version,
        }
        await walk.edge.create(_Grant, "/consent/v1/grants", walk.patient.token, body)
    return f"to {' and '.join(PURPOSES)}, with proof"


STEPS: Final = (
    Step("edge answers with the platform's certificate", reach_edge),
    Step("accounts are made", make_accounts, limit_seconds=15),
    Step("practitioner signs in", practitioner_signs_in),
    Step("patient signs in", patient_signs_in),
    Step("practitioner publishes a slot", publish_slot),
    Step("patient books it", book),
    Step("patient consents", consent),
)
