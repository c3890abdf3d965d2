"""The steps of the health record: FHIR R4 resources, written by the practitioner and read by the patient."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

from vitalops.consultation.http import Partial, bearer, fresh_key, read, until
from vitalops.consultation.people import SYNTHETIC_FAMILY_NAME, Person
from vitalops.consultation.state import Walk
from vitalops.consultation.walk import Step, StepFailed

FHIR: Final = "/records/fhir"
FHIR_TYPE: Final = "application/fhir+json"
LOINC: Final = "http://loinc.org"
CONSULT_NOTE: Final = "11488-4"
OXYGEN_SATURATION: Final = "59408-5"
SATURATION: Final = 98
LOW_SATURATION: Final = 88
"""Percent; 92 and less raises an alert."""
MONITOR_ALERT: Final = "monitor-alert"
ALERT_SECONDS: Final = 8.0
"""The promise is thirty; on a platform that works it is one or two."""
NOTE: Final = "Synthetic verification note. No complaint, no finding."


class _Resource(Partial):
    resourceType: str
    id: str
    valueString: str | None = None


class _Entry(Partial):
    resource: _Resource


class _Bundle(Partial):
    total: int
    entry: tuple[_Entry, ...] = ()


async def _create(walk: Walk, author: Person, kind: str, body: dict[str, Any]) -> _Resource:
    headers = bearer(author.token) | fresh_key() | {"content-type": FHIR_TYPE}
    response = await walk.edge.ask(
        "POST", f"{FHIR}/{kind}", expect=(201,), headers=headers, json={"resourceType": kind, **body}
    )
    return read(_Resource, response)


def _observation(walk: Walk, encounter: str, code: str, text: str, **value: Any) -> dict[str, Any]:
    return {
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code, "display": text}]},
        "subject": {"reference": f"Patient/{walk.patient.subject}"},
        "encounter": {"reference": f"Encounter/{encounter}"},
        "effectiveDateTime": datetime.now(UTC).isoformat(timespec="seconds"),
        **value,
    }


def _percent(value: int) -> dict[str, Any]:
    return {"value": value, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}


async def open_record(walk: Walk) -> str:
    name = {"use": "official", "family": SYNTHETIC_FAMILY_NAME, "given": ["Patient"]}
    # HL7's own label for data that is not about anybody real.
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
    created = await _create(walk, walk.patient, "Patient", {"meta": {"tag": [label]}, "name": [name]})
    if created.id != walk.patient.subject:
        raise StepFailed(f"the record is kept under {created.id}, not under the patient's pseudonym")
    walk.record_paths = (f"{FHIR}/Patient/{created.id}",)
    return "by the patient, under their pseudonym"


async def open_encounter(walk: Walk) -> str:
    """An encounter of these two, by the practitioner; its id."""
    encounter = await _create(
        walk,
        walk.practitioner,
        "Encounter",
        {
            "status": "in-progress",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"},
            "subject": {"reference": f"Patient/{walk.patient.subject}"},
        },
    )
    return encounter.id


async def add_note(walk: Walk, encounter: str) -> str:
    """The consultation's note, by the practitioner; its id."""
    body = _observation(walk, encounter, CONSULT_NOTE, "Consult note", valueString=NOTE)
    return (await _create(walk, walk.practitioner, "Observation", body)).id


async def write_note(walk: Walk) -> str:
    encounter = await open_encounter(walk)
    note = await add_note(walk, encounter)
    saturation = await _create(
        walk,
        walk.practitioner,
        "Observation",
        _observation(
            walk,
            encounter,
            OXYGEN_SATURATION,
            "Oxygen saturation",
            valueQuantity=_percent(SATURATION),
        ),
    )
    walk.record_paths += (
        f"{FHIR}/Encounter/{encounter}",
        f"{FHIR}/Observation/{note}",
        f"{FHIR}/Observation/{saturation.id}",
    )
    return "an encounter, a consultation note and an oxygen saturation"


async def note_of(walk: Walk, note: str) -> str:
    """The text of a note, as the patient reads it."""
    found = await walk.edge.get(_Resource, f"{FHIR}/Observation/{note}", walk.patient.token)
    return found.valueString or ""


async def read_note(walk: Walk) -> str:
    found = await walk.edge.get(
        _Bundle,
        f"{FHIR}/Observation",
        walk.patient.token,
        {"patient": walk.patient.subject, "code": f"{LOINC}|{CONSULT_NOTE}"},
    )
    notes = [entry.resource.valueString for entry in found.entry]
    if notes != [NOTE]:
        raise StepFailed(f"the patient finds {len(notes)} notes, and not the one that was written")
    return "the patient finds the note by its LOINC code"


class _Notification(Partial):
    id: str
    template: str
    status: str


class _Notifications(Partial):
    notifications: tuple[_Notification, ...]


async def _alerts(walk: Walk) -> set[str]:
    """Alerts that have reached the practitioner."""
    seen = await walk.edge.get(_Notifications, "/notification/v1/notifications", walk.practitioner.token)
    told = (each for each in seen.notifications if each.template == MONITOR_ALERT and each.status == "sent")
    return {each.id for each in told}


async def monitor_alert(walk: Walk) -> str:
    """The patient's remote monitor measures too little oxygen, and the practitioner hears of it."""
    before = await _alerts(walk)
    began = time.perf_counter()
    body = {
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": OXYGEN_SATURATION, "display": "Oxygen saturation"}]},
        "subject": {"reference": f"Patient/{walk.patient.subject}"},
        "effectiveDateTime": datetime.now(UTC).isoformat(timespec="seconds"),
        "valueQuantity": _percent(LOW_SATURATION),
    }
    await _create(walk, walk.patient, "Observation", body)
    await until(
        lambda: _alerts(walk),
        lambda seen: bool(seen - before),
        ALERT_SECONDS,
        lambda _: "without the alert",
    )
    return f"the practitioner is told {time.perf_counter() - began:.2f} s after the measurement"


STEPS: Final = (
    Step("patient opens a record", open_record),
    Step("practitioner writes the note", write_note),
    Step("patient reads the note", read_note),
    Step("monitor's alert reaches the practitioner", monitor_alert, limit_seconds=15),
)
