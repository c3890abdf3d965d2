"""What calls may be: set by operators, kept by whoever joins from then on; and events of calls in the other region."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jwt
import pytest

from services.common.testing import TokenSigner
from services.consultation.modes import CallMode
from services.consultation.rules import Kind, State
from tests.unit.services.consultation.conftest import PATIENT, SECRET, Act, Room, open_, read, signed

OPERATOR = "vitalops-operator"


@pytest.fixture
def steer(client: Any, signer: TokenSigner) -> Any:
    def put(mode: str, role: str = "operator", scopes: tuple[str, ...] = ("calls:steer",)) -> httpx.Response:
        headers = signer.headers(role, OPERATOR, scope=" ".join(scopes))
        return client.put("/v1/call-mode", json={"mode": mode}, headers=headers)

    return put


def mode(client: Any, signer: TokenSigner) -> str:
    return client.get("/v1/call-mode", headers=signer.headers("patient", PATIENT)).json()["mode"]


def admitted(act: Act) -> str:
    identifier = open_(act).json()["id"]
    act("practitioner", f"consultations/{identifier}/admit")
    return identifier


def grants(joined: dict[str, Any]) -> dict[str, Any]:
    return jwt.decode(joined["token"], SECRET, algorithms=["HS256"], options={"verify_exp": False})["video"]


def test_operators_set_it_and_everybody_may_read_it(client: Any, signer: TokenSigner, steer: Any) -> None:
    assert mode(client, signer) == "video"
    assert steer("audio").status_code == 200
    first = steer("audio").json()
    assert first["since"] == steer("audio").json()["since"]
    assert mode(client, signer) == "audio"
    assert steer("video").json()["mode"] == "video"


@pytest.mark.parametrize(
    ("role", "scopes"), [("operator", ()), ("practitioner", ("calls:steer",)), ("service", ("calls:steer",))]
)
def test_nobody_else_sets_it(steer: Any, client: Any, signer: TokenSigner, role: str, scopes: Any) -> None:
    assert steer("audio", role, scopes).status_code == 403
    assert mode(client, signer) == "video"


def test_what_there_is_not_is_refused(steer: Any) -> None:
    assert steer("telepathy").status_code == 422


@pytest.mark.parametrize(("which", "sources"), [("video", None), ("low", None), ("audio", ["microphone"])])
def test_join_tokens_keep_to_it(act: Act, steer: Any, which: str, sources: list[str] | None) -> None:
    identifier = admitted(act)
    steer(which)
    joined = act("patient", f"consultations/{identifier}/join").json()
    assert (joined["status"], joined["mode"]) == ("admitted", which)
    assert grants(joined).get("canPublishSources") == sources
    assert grants(joined)["room"] == joined["room"]


def test_by_telephone_nobody_gets_a_token_and_the_patient_is_told_once(
    act: Act, client: Any, signer: TokenSigner, steer: Any
) -> None:
    identifier = open_(act).json()["id"]
    steer("callback")
    for _ in range(2):
        told = act("patient", f"consultations/{identifier}/join")
        assert (told.status_code, told.json()["status"], told.json()["token"]) == (200, "callback", None)
    assert act("practitioner", f"consultations/{identifier}/join").json()["status"] == "callback"
    seen = read(client, signer, identifier)
    assert [moment["kind"] for moment in seen["timeline"]].count(Kind.CALLBACK) == 1
    assert seen["state"] == State.BOOKED
    ended = act("practitioner", f"consultations/{identifier}/complete")
    assert ended.json()["state"] == State.COMPLETED


def test_who_was_not_told_to_wait_for_a_call_cannot_complete_one(act: Act) -> None:
    identifier = open_(act).json()["id"]
    assert act("practitioner", f"consultations/{identifier}/complete").status_code == 409


def test_modes_are_those_that_operations_know() -> None:
    from vitalops.ports import media

    assert [each.value for each in CallMode] == [each.value for each in media.CallMode]


class Peer:
    """The other region's gateway."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.heard: list[httpx.Request] = []

    def client(self) -> httpx.Client:
        def answer(request: httpx.Request) -> httpx.Response:
            self.heard.append(request)
            if not self.status:
                raise httpx.ConnectError("refused")
            return httpx.Response(self.status)

        return httpx.Client(base_url="https://peer.test", transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(("status", "answered"), [(204, 204), (503, 503), (0, 503)])
def test_a_standby_hands_events_on_and_has_them_told_again(
    call: tuple[str, Room, dict[str, str]],
    client: Any,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    answered: int,
) -> None:
    _, room, identities = call
    peer = Peer(status)
    context, state = client.app.state.context, client.app.state.service
    monkeypatch.setattr(type(context.database), "role", lambda _: "standby")
    object.__setattr__(state, "peer", peer.client())
    answer = room.report("participant_joined", identities["patient"], "PA_p")
    assert answer.status_code == answered
    assert peer.heard[0].url.path == "/consultation/v1/livekit/relay"
    assert peer.heard[0].headers["authorization"]
    body = peer.heard[0].content
    assert json.loads(body)["event"] == "participant_joined"
    headers = {"authorization": signed(body)}
    assert client.post("/v1/livekit/relay", content=body, headers=headers).status_code == 503
    monkeypatch.undo()
    assert client.post("/v1/livekit/relay", content=body, headers=headers).status_code == 204


def test_what_is_handed_on_is_signed_too(client: Any) -> None:
    assert client.post("/v1/livekit/relay", content=b"{}", headers={"authorization": "x"}).status_code == 401


def test_a_standby_without_a_peer_has_events_told_again(
    call: tuple[str, Room, dict[str, str]], client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, room, identities = call
    monkeypatch.setattr(type(client.app.state.context.database), "role", lambda _: "standby")
    assert room.report("participant_joined", identities["patient"], "PA_p").status_code == 503
