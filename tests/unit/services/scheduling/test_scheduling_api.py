"""Publishing, booking without doubles, cancelling, and who sees what."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.common.testing import FixedClock, TokenSigner, assert_migrations_match
from services.scheduling.service import SERVICE

DOCTOR, OTHER_DOCTOR, PATIENT, OTHER_PATIENT = (str(uuid.uuid4()) for _ in range(4))


@pytest.fixture
def client(start: Any) -> Any:
    return start(SERVICE)


def publish(
    client: Any, signer: TokenSigner, clock: FixedClock, start: float = 60, doctor: str = DOCTOR
) -> Any:
    begins = clock.now() + timedelta(minutes=start)
    body = {"starts_at": begins.isoformat(), "ends_at": (begins + timedelta(minutes=20)).isoformat()}
    return client.post("/v1/slots", json=body, headers=signer.headers("practitioner", doctor))


def book(client: Any, signer: TokenSigner, slot: str, patient: str = PATIENT, **options: Any) -> Any:
    return client.post(
        "/v1/appointments", json={"slot_id": slot}, headers=signer.headers("patient", patient, **options)
    )


def test_migrations_make_the_models_tables(tmp_path: Path) -> None:
    assert_migrations_match(SERVICE, tmp_path)


def test_a_slot_is_published_booked_and_gone_from_the_list(
    client: Any, signer: TokenSigner, clock: FixedClock
) -> None:
    slot = publish(client, signer, clock)
    assert slot.status_code == 201
    listed = client.get(
        "/v1/slots", params={"practitioner": DOCTOR}, headers=signer.headers("patient", PATIENT)
    )
    assert [found["id"] for found in listed.json()["slots"]] == [slot.json()["id"]]

    booked = book(client, signer, slot.json()["id"])
    assert booked.status_code == 201
    assert booked.headers["location"] == f"/scheduling/v1/appointments/{booked.json()['id']}"
    assert (booked.json()["patient"], booked.json()["practitioner"]) == (PATIENT, DOCTOR)
    assert client.get("/v1/slots", headers=signer.headers("patient", PATIENT)).json()["slots"] == []


def test_a_slot_is_booked_once(client: Any, signer: TokenSigner, clock: FixedClock) -> None:
    slot = publish(client, signer, clock).json()["id"]
    assert book(client, signer, slot).status_code == 201
    second = book(client, signer, slot, OTHER_PATIENT)
    assert second.status_code == 409
    assert second.json()["type"] == "urn:vitalops:problem:slot-taken"


def test_of_many_who_book_at_once_one_gets_the_slot(
    client: Any, signer: TokenSigner, clock: FixedClock
) -> None:
    slot = publish(client, signer, clock).json()["id"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: book(client, signer, slot, str(uuid.uuid4())).status_code, range(8))
        )
    assert answers.count(201) == 1
    # SQLite may also answer that it is busy; PostgreSQL's row lock makes the others wait and find the slot taken.
    assert set(answers) <= {201, 409, 503}


def test_a_repeated_booking_is_the_same_booking(client: Any, signer: TokenSigner, clock: FixedClock) -> None:
    slot = publish(client, signer, clock).json()["id"]
    first, second = (book(client, signer, slot, key="the-same-key") for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"


def test_slots_of_one_practitioner_do_not_overlap(
    client: Any, signer: TokenSigner, clock: FixedClock
) -> None:
    assert publish(client, signer, clock, 60).status_code == 201
    assert publish(client, signer, clock, 70).status_code == 409
    assert publish(client, signer, clock, 80).status_code == 201
    assert publish(client, signer, clock, 70, OTHER_DOCTOR).status_code == 201


def test_a_patient_has_one_appointment_at_a_time(client: Any, signer: TokenSigner, clock: FixedClock) -> None:
    one, other = (
        publish(client, signer, clock).json()["id"],
        publish(client, signer, clock, 65, OTHER_DOCTOR).json()["id"],
    )
    assert book(client, signer, one).status_code == 201
    assert book(client, signer, other).json()["type"] == "urn:vitalops:problem:overlapping-appointment"


def test_a_slot_that_has_begun_is_not_booked(client: Any, signer: TokenSigner, clock: FixedClock) -> None:
    slot = publish(client, signer, clock, 1).json()["id"]
    clock.advance(minutes=12)
    assert book(client, signer, slot).json()["type"] == "urn:vitalops:problem:slot-begun"


def test_cancelling_frees_the_slot_and_can_be_repeated(
    client: Any, signer: TokenSigner, clock: FixedClock
) -> None:
    slot = publish(client, signer, clock).json()["id"]
    appointment = book(client, signer, slot).json()["id"]
    for _ in range(2):
        cancelled = client.post(
            f"/v1/appointments/{appointment}/cancellation", headers=signer.headers("practitioner", DOCTOR)
        )
        assert (cancelled.status_code, cancelled.json()["cancelled_by"]) == (200, "practitioner")
    assert book(client, signer, slot, OTHER_PATIENT).status_code == 201


def test_a_booked_slot_is_not_withdrawn_and_a_free_one_only_by_its_owner(
    client: Any, signer: TokenSigner, clock: FixedClock
) -> None:
    slot, free = publish(client, signer, clock).json()["id"], publish(client, signer, clock, 120).json()["id"]
    book(client, signer, slot)
    mine, theirs = signer.headers("practitioner", DOCTOR), signer.headers("practitioner", OTHER_DOCTOR)
    assert client.delete(f"/v1/slots/{slot}", headers=mine).status_code == 409
    assert client.delete(f"/v1/slots/{free}", headers=theirs).status_code == 404
    assert client.delete(f"/v1/slots/{free}", headers=mine).status_code == 204
    assert book(client, signer, free).status_code == 404
    assert publish(client, signer, clock, 120).status_code == 201


def test_strangers_see_nothing_of_an_appointment(
    client: Any, signer: TokenSigner, clock: FixedClock, platform: Any
) -> None:
    appointment = book(client, signer, publish(client, signer, clock).json()["id"]).json()["id"]
    path = f"/v1/appointments/{appointment}"
    for role, subject in (("patient", OTHER_PATIENT), ("practitioner", OTHER_DOCTOR)):
        stranger = signer.headers(role, subject)
        assert client.get(path, headers=stranger).status_code == 404
        assert client.post(f"{path}/cancellation", headers=stranger).status_code == 404
        assert client.get("/v1/appointments", headers=stranger).json()["appointments"] == []
    for role, subject in (("patient", PATIENT), ("practitioner", DOCTOR), ("service", "consultation")):
        assert client.get(path, headers=signer.headers(role, subject)).status_code == 200
    client.deliver()
    denied = [event for event in platform.audit if event["outcome"] == "denied"]
    assert {event["actor"] for event in denied} == {OTHER_PATIENT, OTHER_DOCTOR}


def test_both_are_told_of_a_booking_and_the_patient_is_reminded(
    client: Any, signer: TokenSigner, clock: FixedClock, platform: Any
) -> None:
    slot = publish(client, signer, clock, 60 * 48).json()
    appointment = book(client, signer, slot["id"]).json()
    client.deliver()
    sent = platform.sent_to("notification/v1/notifications")
    assert {(body["subject"], body["template"]) for body in sent} == {
        (PATIENT, "appointment-booked"),
        (DOCTOR, "appointment-booked"),
        (PATIENT, "appointment-reminder"),
    }
    reminder = next(body for body in sent if body["template"] == "appointment-reminder")
    assert reminder["not_before"] < appointment["starts_at"]
    assert [event["action"] for event in platform.audit] == ["slot.published", "appointment.booked"]


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("POST", "/v1/slots", "patient"),
        ("POST", "/v1/appointments", "practitioner"),
        ("GET", "/v1/appointments", "service"),
        ("POST", "/v1/appointments/6f2a1c1e-3b0f-4c2f-9a40-2d5f0c8e7b11/cancellation", "service"),
    ],
)
def test_roles_are_kept_apart(client: Any, signer: TokenSigner, method: str, path: str, role: str) -> None:
    assert client.request(method, path, headers=signer.headers(role), json={}).status_code == 403
    assert client.request(method, path, json={}).status_code == 401
