"""Opening, waiting room, tokens, webhooks and endings, through the HTTP interface."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from services.common.testing import FixedClock, TokenSigner, assert_migrations_match
from services.consultation.service import SERVICE
from services.consultation.sweep import Sweeper
from tests.unit.services.consultation.conftest import (
    DOCTOR,
    KEY,
    OTHER,
    OTHER_DOCTOR,
    PATIENT,
    SECRET,
    Act,
    Room,
    an_appointment,
    in_call,
    open_,
    read,
    signed,
)


def test_migrations_make_the_models_tables(tmp_path: Path) -> None:
    assert_migrations_match(SERVICE, tmp_path)


def test_both_parties_open_the_same_consultation(act: Act) -> None:
    appointment = an_appointment()
    first, second = open_(act, "patient", appointment), open_(act, "practitioner", appointment)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert first.json()["state"] == "booked"


def test_a_cancelled_or_foreign_appointment_is_not_opened(act: Act) -> None:
    assert open_(act, appointment=an_appointment("0")).status_code == 409
    body = {"appointment_id": an_appointment()}
    assert act("patient", "consultations", OTHER, json=body).status_code == 422


def test_a_patient_waits_until_admitted(act: Act, client: Any, signer: TokenSigner) -> None:
    identifier = open_(act).json()["id"]
    waiting = act("patient", f"consultations/{identifier}/join")
    assert (waiting.status_code, waiting.json()["status"], waiting.json()["position"]) == (202, "waiting", 1)
    assert waiting.json()["token"] is None
    queue = client.get("/v1/waiting-room", headers=signer.headers("practitioner", DOCTOR)).json()["waiting"]
    assert [each["id"] for each in queue] == [identifier]
    admitted = act("practitioner", f"consultations/{identifier}/admit")
    assert (admitted.status_code, admitted.json()["state"]) == (200, "waiting")
    joined = act("patient", f"consultations/{identifier}/join")
    assert (joined.status_code, joined.json()["status"]) == (200, "admitted")
    assert (
        client.get("/v1/waiting-room", headers=signer.headers("practitioner", DOCTOR)).json()["waiting"] == []
    )


def test_patients_wait_in_the_order_of_their_coming(
    act: Act, clock: FixedClock, client: Any, signer: TokenSigner
) -> None:
    first, second = (open_(act).json()["id"] for _ in range(2))
    for identifier in (second, first):
        clock.advance(seconds=30)
        act("patient", f"consultations/{identifier}/join")
    queue = client.get("/v1/waiting-room", headers=signer.headers("practitioner", DOCTOR)).json()["waiting"]
    assert [each["id"] for each in queue] == [second, first]
    assert act("patient", f"consultations/{first}/join").json()["position"] == 2


def test_a_join_token_is_for_one_person_one_room_and_a_short_time(act: Act) -> None:
    identifier = open_(act).json()["id"]
    granted = act("practitioner", f"consultations/{identifier}/join").json()
    claims = jwt.decode(granted["token"], SECRET, algorithms=["HS256"], issuer=KEY)
    assert granted["url"] == "wss://video.example"
    assert claims["video"]["room"] == granted["room"] == f"consultation-{identifier}"
    assert claims["video"]["roomJoin"] is True
    assert not claims["video"].get("roomAdmin")
    assert claims["sub"] == granted["identity"]
    assert claims["sub"].startswith("practitioner-")
    assert DOCTOR not in granted["token"]
    assert DOCTOR not in claims["sub"]
    assert claims["exp"] - claims["nbf"] <= 600


def test_nobody_joins_without_consent(act: Act, consent: dict[str, bool], client: Any, platform: Any) -> None:
    identifier = open_(act).json()["id"]
    consent["allowed"] = False
    for role in ("patient", "practitioner"):
        refused = act(role, f"consultations/{identifier}/join")
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:vitalops:problem:consent-required")
    client.deliver()
    assert [event["outcome"] for event in platform.audit if event["action"] == "consultation.joined"] == [
        "denied"
    ] * 2


def test_without_the_consent_service_nobody_joins(act: Act, platform: Any) -> None:
    identifier = open_(act).json()["id"]
    platform.answers["consent/v1/decisions"] = lambda _: httpx.Response(503)
    assert act("practitioner", f"consultations/{identifier}/join").status_code == 503


def test_webhooks_carry_a_call_through_its_life(
    act: Act, client: Any, signer: TokenSigner, call: tuple[str, Room, dict[str, str]], platform: Any
) -> None:
    identifier, room, identities = call
    room.report("room_started")
    in_call(room, identities)
    current = read(client, signer, identifier)
    assert current["state"] == "in_call"
    assert current["media_at"] is not None
    for party, sid in (("practitioner", "PA_d"), ("patient", "PA_p")):
        room.report(
            "participant_left", identities[party], sid, participant={"disconnectReason": "CLIENT_INITIATED"}
        )
    assert read(client, signer, identifier)["state"] == "joined"
    for _ in range(2):
        completed = act("practitioner", f"consultations/{identifier}/complete")
        assert (completed.status_code, completed.json()["state"], completed.json()["ended"]) == (
            200,
            "completed",
            True,
        )
    assert act("patient", f"consultations/{identifier}/join").status_code == 409
    client.deliver()
    states = [event["action"] for event in platform.audit if event["actor"] == "media-server"]
    assert states == ["consultation.joined", "consultation.in_call", "consultation.joined"]
    metrics = client.get("/metrics").text
    assert 'vitalops_consultation_join_duration_seconds_count{party="patient",traffic="real"} 1.0' in metrics
    assert 'vitalops_consultation_media_duration_seconds_count{traffic="real"} 1.0' in metrics
    assert 'vitalops_consultations_ended_total{outcome="completed",traffic="real"} 1.0' in metrics
    assert 'vitalops_consultations_ended_total{outcome="dropped",traffic="synthetic"} 0.0' in metrics


def test_a_lost_connection_is_a_drop(
    client: Any, signer: TokenSigner, call: tuple[str, Room, dict[str, str]]
) -> None:
    identifier, room, identities = call
    in_call(room, identities)
    room.report(
        "participant_left", identities["patient"], "PA_p", participant={"disconnectReason": "SIGNAL_CLOSE"}
    )
    assert read(client, signer, identifier)["state"] == "dropped"


def test_a_webhook_delivered_twice_counts_once(
    client: Any, signer: TokenSigner, call: tuple[str, Room, dict[str, str]]
) -> None:
    identifier, room, identities = call
    before = len(read(client, signer, identifier)["timeline"])
    for _ in range(3):
        assert (
            room.report("participant_joined", identities["patient"], "PA_p", id="EV_same").status_code == 204
        )
    assert len(read(client, signer, identifier)["timeline"]) == before + 1


def test_webhooks_of_other_rooms_and_participants_change_nothing(
    client: Any, signer: TokenSigner, clock: FixedClock, call: tuple[str, Room, dict[str, str]]
) -> None:
    identifier, room, _ = call
    before = read(client, signer, identifier)
    assert (
        Room(client, clock, "somebody-elses").report("participant_joined", "patient-1", "PA").status_code
        == 204
    )
    assert room.report("participant_joined", "egress-1", "PA_e").status_code == 204
    assert read(client, signer, identifier) == before


@pytest.mark.parametrize(
    "authorize",
    [
        lambda body, token: "",
        lambda body, token: "nonsense",
        lambda body, token: f"Bearer {token}",
        lambda body, token: signed(body, secret="another-secret-of-some-length-0123456789"),
        lambda body, token: signed(body, key="APIother"),
        lambda body, token: signed(body, digest=hashlib.sha256(b"another body").digest()),
        lambda body, token: jwt.encode({"iss": KEY, "exp": 9_999_999_999}, SECRET, algorithm="HS256"),
        lambda body, token: jwt.encode({"iss": KEY, "exp": 1, "sha256": ""}, SECRET, algorithm="HS256"),
    ],
)
def test_an_unsigned_webhook_is_refused(
    client: Any,
    signer: TokenSigner,
    call: tuple[str, Room, dict[str, str]],
    authorize: Callable[[bytes, str], str],
) -> None:
    identifier, room, _ = call
    before = read(client, signer, identifier)
    hook = {
        "event": "participant_joined",
        "id": "EV_1",
        "room": {"name": room.room},
        "participant": {"identity": "x"},
    }
    body = json.dumps(hook).encode()
    headers = {"authorization": authorize(body, signer.token("service", "scheduling"))}
    assert client.post("/v1/livekit/webhook", content=body, headers=headers).status_code == 401
    assert client.post("/v1/livekit/webhook", content=b"\xff\xfe", headers=headers).status_code == 401
    assert read(client, signer, identifier) == before


def test_what_did_not_happen_is_not_completed_and_what_did_is_not_cancelled(
    act: Act, call: tuple[str, Room, dict[str, str]]
) -> None:
    identifier, room, identities = call
    assert act("practitioner", f"consultations/{identifier}/complete").status_code == 409
    in_call(room, identities)
    assert act("patient", f"consultations/{identifier}/cancellation").status_code == 409
    other = open_(act).json()["id"]
    assert act("patient", f"consultations/{other}/cancellation").json()["state"] == "cancelled"
    assert act("practitioner", f"consultations/{other}/admit").status_code == 409


def test_consultations_that_nobody_ends_are_ended(
    act: Act, client: Any, signer: TokenSigner, clock: FixedClock, call: tuple[str, Room, dict[str, str]]
) -> None:
    identifier, room, identities = call
    missed = open_(act).json()["id"]
    in_call(room, identities)
    sweeper = Sweeper(client.app.state.context, client.app.state.service.metrics)
    sweeper.step()
    assert read(client, signer, missed)["state"] == "booked"
    clock.advance(minutes=51)
    sweeper.step()
    assert (read(client, signer, missed)["state"], read(client, signer, identifier)["state"]) == (
        "missed",
        "in_call",
    )
    assert 'vitalops_consultations{state="in_call"} 1.0' in client.get("/metrics").text
    clock.advance(hours=6)
    sweeper.step()
    assert read(client, signer, identifier)["state"] == "completed"


def test_strangers_see_and_do_nothing(act: Act, client: Any, signer: TokenSigner, platform: Any) -> None:
    identifier = open_(act).json()["id"]
    path = f"/v1/consultations/{identifier}"
    for role, subject in (("patient", OTHER), ("practitioner", OTHER_DOCTOR), ("patient", DOCTOR)):
        stranger = signer.headers(role, subject)
        assert client.get(path, headers=stranger).status_code == 404
        assert client.get("/v1/consultations", headers=stranger).json()["consultations"] == []
        for step in ("join", "cancellation"):
            assert client.post(f"{path}/{step}", headers=stranger).status_code == 404
    for step in ("admit", "complete"):
        assert act("patient", f"consultations/{identifier}/{step}").status_code == 403
        assert act("practitioner", f"consultations/{identifier}/{step}", OTHER_DOCTOR).status_code == 404
    assert (
        client.get("/v1/waiting-room", headers=signer.headers("practitioner", OTHER_DOCTOR)).json()["waiting"]
        == []
    )
    for role, subject in (("patient", PATIENT), ("practitioner", DOCTOR), ("service", "prescription")):
        assert client.get(path, headers=signer.headers(role, subject)).status_code == 200
    client.deliver()
    denied = {event["actor"] for event in platform.audit if event["outcome"] == "denied"}
    assert denied == {OTHER, OTHER_DOCTOR, DOCTOR}
