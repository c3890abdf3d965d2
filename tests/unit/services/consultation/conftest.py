"""A consultation service with an appointment for everybody, and what LiveKit would report of its calls."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from services.common.testing import FixedClock, TokenSigner
from services.consultation import service as module
from services.consultation.service import SERVICE

PATIENT, OTHER, DOCTOR, OTHER_DOCTOR = (str(uuid.uuid4()) for _ in range(4))
KEY, SECRET = "APIkey", "a-livekit-secret-of-some-length-0123456789"


@pytest.fixture
def consent() -> dict[str, bool]:
    return {"allowed": True}


@pytest.fixture
def client(start: Any, platform: Any, clock: FixedClock, tmp_path: Path, consent: dict[str, bool]) -> Any:
    (tmp_path / module.KEY_SECRET).write_text(KEY)
    (tmp_path / module.SECRET_SECRET).write_text(SECRET)

    def appointment(request: httpx.Request) -> httpx.Response:
        identifier = request.url.path.rsplit("/", 1)[1]
        return httpx.Response(
            200,
            json={
                "id": identifier,
                "patient": PATIENT,
                "practitioner": DOCTOR,
                "status": "cancelled" if identifier.startswith("0") else "booked",
                "starts_at": clock.now().isoformat(),
                "ends_at": (clock.now() + timedelta(minutes=20)).isoformat(),
            },
        )

    platform.answers["scheduling/v1/appointments/"] = appointment
    platform.answers["consent/v1/decisions"] = lambda _: httpx.Response(200, json=consent)
    # Nothing listens on the discard port: closing a room is best effort.
    environment = {module.URL: "http://127.0.0.1:9", module.PUBLIC_URL: "wss://video.example"}
    return start(SERVICE, environment=environment)


Act = Callable[..., Any]


@pytest.fixture
def act(client: Any, signer: TokenSigner) -> Act:
    """`act(role, path, ...)` POSTs as the patient or practitioner of the consultation."""

    def post(role: str, path: str, subject: str = "", **options: Any) -> Any:
        who = subject or {"patient": PATIENT, "practitioner": DOCTOR}[role]
        return client.post(f"/v1/{path}", headers=signer.headers(role, who), **options)

    return post


def an_appointment(first: str = "a") -> str:
    return first + str(uuid.uuid4())[1:]


def open_(act: Act, role: str = "patient", appointment: str | None = None) -> Any:
    return act(role, "consultations", json={"appointment_id": appointment or an_appointment()})


def signed(body: bytes, *, key: str = KEY, secret: str = SECRET, digest: bytes | None = None) -> str:
    sha = base64.b64encode(digest or hashlib.sha256(body).digest()).decode()
    # LiveKit's token dates are judged by the machine's clock, which is the library's own.
    return jwt.encode({"iss": key, "exp": 9_999_999_999, "sha256": sha}, secret, algorithm="HS256")


class Room:
    """What LiveKit would report about one consultation's room."""

    def __init__(self, client: Any, clock: FixedClock, room: str) -> None:
        self._client, self._clock, self.room = client, clock, room

    def report(self, event: str, identity: str = "", sid: str = "", *, track: str = "", **more: Any) -> Any:
        self._clock.advance(seconds=1)
        participant = {"sid": sid, "identity": identity} | more.pop("participant", {})
        hook = {
            "event": event,
            "id": more.pop("id", f"EV_{uuid.uuid4().hex[:12]}"),
            "createdAt": str(int(self._clock.now().timestamp())),
            "room": {"name": self.room, "sid": "RM_1"},
            "participant": participant,
            "track": {"sid": track},
        }
        return self.send(json.dumps(hook).encode())

    def send(self, body: bytes, authorization: str | None = None) -> Any:
        headers = {"content-type": "application/webhook+json", "authorization": authorization or signed(body)}
        return self._client.post("/v1/livekit/webhook", content=body, headers=headers)


@pytest.fixture
def call(client: Any, act: Act, clock: FixedClock) -> tuple[str, Room, dict[str, str]]:
    """A consultation with both parties holding tokens: its id, its room, the identities."""
    identifier = open_(act).json()["id"]
    doctor = act("practitioner", f"consultations/{identifier}/join").json()
    act("practitioner", f"consultations/{identifier}/admit")
    patient = act("patient", f"consultations/{identifier}/join").json()
    identities = {"patient": patient["identity"], "practitioner": doctor["identity"]}
    return identifier, Room(client, clock, doctor["room"]), identities


def in_call(room: Room, identities: dict[str, str]) -> None:
    for party, sid in (("practitioner", "PA_d"), ("patient", "PA_p")):
        assert room.report("participant_joined", identities[party], sid).status_code == 204
        assert room.report("track_published", identities[party], sid, track=f"TR_{sid}").status_code == 204


def read(client: Any, signer: TokenSigner, identifier: str) -> Any:
    return client.get(f"/v1/consultations/{identifier}", headers=signer.headers("patient", PATIENT)).json()
