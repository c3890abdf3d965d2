"""LiveKit of one region through its cluster's API server: its RoomService (Twirp, JSON).

The API server takes the Authorization header for itself, so LiveKit's own token goes into the query, where LiveKit
looks for it as well. It is good for one minute and for rooms only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vitalops import conventions as c
from vitalops.errors import RemoteError
from vitalops.ports.cluster import ApiError, Json, KubeApi
from vitalops.ports.media import Call, CallMode
from vitalops.secretstore.port import SecretStore

_LIFE_SECONDS: Final = 60
_SECONDS: Final = 5.0
MODE_KEY: Final = "mode"
"""Of a room's metadata, which every client in it is told of."""
SOURCES: Final = ("CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO")
"""What a participant may send while pictures are allowed. To name none would allow all, what there will be as well."""
AUDIO_SOURCES: Final = ("MICROPHONE",)


def api_key(pair: str) -> str:
    """Name of the pair's LiveKit key; its secret is in the store."""
    return f"vitalops-{pair}"


def secret_name(pair: str) -> str:
    return f"{pair}/media/api-secret"


@dataclass(frozen=True, slots=True)
class LiveKitMedia:
    """`RegionMedia` of one region of `pair`."""

    region: str
    pair: str
    cluster: KubeApi
    secrets: SecretStore

    def calls(self) -> tuple[Call, ...]:
        rooms = self._ask("ListRooms", {}).get("rooms", [])
        found = [
            # LiveKit's own count of a room is seconds old: one that just began would be taken for empty.
            Call(
                str(room["name"]),
                int(room.get("num_participants", 0)) or len(tuple(self._present(str(room["name"])))),
                float(room.get("creation_time", 0)),
            )
            for room in rooms
        ]
        return tuple(call for call in found if call.participants)

    def _present(self, room: str) -> tuple[str, ...]:
        try:
            return tuple(self._identities(room))
        except ApiError as error:
            if error.status != 404:
                raise
            return ()

    def limit(self, mode: CallMode) -> int:
        return sum(self._limit(call.room, mode) for call in self.calls())

    def end(self, rooms: Sequence[str]) -> int:
        return sum(self._ended("DeleteRoom", {"room": room}) for room in rooms)

    def _limit(self, room: str, mode: CallMode) -> int:
        sources = SOURCES if mode in (CallMode.VIDEO, CallMode.LOW) else AUDIO_SOURCES
        permission = {
            "can_subscribe": True,
            "can_publish": True,
            "can_publish_data": True,
            "can_publish_sources": list(sources),
        }
        self._ended("UpdateRoomMetadata", {"room": room, "metadata": json.dumps({MODE_KEY: mode.value})})
        return sum(
            self._ended("UpdateParticipant", {"room": room, "identity": identity, "permission": permission})
            for identity in self._identities(room)
        )

    def _identities(self, room: str) -> Iterator[str]:
        for each in self._ask("ListParticipants", {"room": room}, room=room).get("participants", []):
            yield str(each["identity"])

    def _ended(self, method: str, body: Json) -> int:
        """1, or 0 where the room or the participant is gone already."""
        try:
            self._ask(method, body, room=body["room"])
        except ApiError as error:
            if error.status != 404:
                raise
            return 0
        return 1

    def _ask(self, method: str, body: Json, *, room: str = "") -> Json:
        path = (
            f"/api/v1/namespaces/{c.NAMESPACE_MEDIA}/services/{c.LIVEKIT_SERVICE}:{c.LIVEKIT_PORT}/proxy"
            f"/twirp/livekit.RoomService/{method}"
        )
        query = {"access_token": self._token(room)}
        return self.cluster.request("POST", path, query=query, body=body, timeout=_SECONDS)

    def _token(self, room: str) -> str:
        from joserfc import jwt
        from joserfc.jwk import OctKey

        secret = self.secrets.get(secret_name(self.pair))
        if secret is None:
            raise RemoteError(
                f"{self.region}: there is no key of its media servers here", hint="run vitalops up first"
            )
        now = int(time.time())
        grants: dict[str, Any] = {"roomList": True, "roomCreate": True}
        if room:
            grants |= {"roomAdmin": True, "room": room}
        # Dated back a little: the region's clock may be behind.
        claims = {"iss": api_key(self.pair), "nbf": now - 10, "exp": now + _LIFE_SECONDS, "video": grants}
        return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))
