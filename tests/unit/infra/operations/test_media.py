"""LiveKit through the API server: what is asked, with which token, and what has gone meanwhile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest

from infra.operations.media import LiveKitMedia
from vitalops.errors import RemoteError
from vitalops.ports.cluster import ApiError, Json
from vitalops.ports.media import Call, CallMode
from vitalops.secretstore.port import InMemorySecretStore

SECRET = "a-media-secret-of-some-length-0123456789"


@dataclass
class LiveKit:
    """Answers as RoomService does; rooms and people as a test has them."""

    people: dict[str, list[str]]
    name: str = "fr-par"
    asked: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])
    grants: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
        timeout: float = 30.0,
    ) -> Json:
        assert (method, content_type, timeout) == ("POST", "application/json", 5.0)
        assert path.startswith("/api/v1/namespaces/vitalops-media/services/livekit:7880/proxy/twirp/")
        claims = jwt.decode((query or {})["access_token"], SECRET, algorithms=["HS256"])
        assert claims["iss"] == "vitalops-france"
        assert claims["exp"] - claims["nbf"] <= 70
        self.grants.append(claims["video"])
        call, sent = path.rpartition("/")[2], body or {}
        self.asked.append((call, sent))
        if call == "ListRooms":
            rooms = [
                {"name": name, "num_participants": len(found), "creation_time": "1700000000"}
                for name, found in self.people.items()
            ]
            return {"rooms": rooms}
        if sent["room"] not in self.people:
            raise ApiError(404, "NotFound", "room is not there")
        if call == "ListParticipants":
            return {"participants": [{"identity": each} for each in self.people[sent["room"]]]}
        if call == "DeleteRoom":
            del self.people[sent["room"]]
        return {}

    def text(self, path: str, *, query: Mapping[str, str] | None = None, timeout: float = 10.0) -> str:
        raise AssertionError(path)


def media(livekit: LiveKit, secret: str = SECRET) -> LiveKitMedia:
    store = InMemorySecretStore()
    if secret:
        store.replace("france/media/api-secret", secret)
    return LiveKitMedia("fr-par", "france", livekit, store)


def test_calls_are_rooms_with_somebody_in_them() -> None:
    livekit = LiveKit({"one": ["a", "b"], "empty": []})
    assert media(livekit).calls() == (Call("one", 2, 1_700_000_000.0),)
    assert livekit.grants[0] == {"roomList": True, "roomCreate": True}


@pytest.mark.parametrize(
    ("mode", "allowed"),
    [
        (CallMode.VIDEO, ["CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO"]),
        (CallMode.LOW, ["CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO"]),
        (CallMode.AUDIO, ["MICROPHONE"]),
        (CallMode.CALLBACK, ["MICROPHONE"]),
    ],
)
def test_who_is_in_a_call_keeps_to_the_mode(mode: CallMode, allowed: list[str]) -> None:
    livekit = LiveKit({"one": ["a", "b"], "two": ["c"]})
    assert media(livekit).limit(mode) == 3
    said = [body for call, body in livekit.asked if call == "UpdateParticipant"]
    assert [body["identity"] for body in said] == ["a", "b", "c"]
    assert all(body["permission"]["can_publish_sources"] == allowed for body in said)
    assert all(body["permission"]["can_subscribe"] for body in said)
    told = [body for call, body in livekit.asked if call == "UpdateRoomMetadata"]
    assert [json.loads(body["metadata"]) for body in told] == [{"mode": mode.value}] * 2
    assert {grant["room"] for grant in livekit.grants[1:]} == {"one", "two"}


def test_ending_what_has_ended_is_nothing() -> None:
    livekit = LiveKit({"one": ["a"]})
    assert media(livekit).end(["one", "gone"]) == 1
    assert media(livekit).end(["one"]) == 0


def test_without_a_key_it_says_so() -> None:
    with pytest.raises(RemoteError, match="fr-par: there is no key of its media servers here"):
        media(LiveKit({}), secret="").calls()
