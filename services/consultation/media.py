"""LiveKit: join tokens, its webhooks, and closing a room. The one module that imports it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, Final

import httpx

from services.common.logs import get_logger
from services.consultation.rules import Event, Kind, Party

log = get_logger("services.media")

TOKEN_LIFE: Final = timedelta(minutes=10)
"""Time to connect with a join token; a connected client gets fresh ones from LiveKit itself."""

_KINDS: Final[dict[str, Kind]] = {
    "participant_joined": Kind.ENTERED,
    "participant_left": Kind.LEFT,
    "track_published": Kind.PUBLISHED,
    "track_unpublished": Kind.UNPUBLISHED,
    "room_finished": Kind.ROOM_FINISHED,
}
_VOLUNTARY: Final = frozenset(
    {"CLIENT_INITIATED", "DUPLICATE_IDENTITY", "PARTICIPANT_REMOVED", "ROOM_DELETED", "ROOM_CLOSED"}
)


class UnsignedWebhook(Exception):
    """The request was not signed by the media server with our key."""


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What a client needs to enter a room."""

    token: str
    identity: str
    expires_at: datetime


def identity_in_room(room: str, party: Party, subject: str) -> str:
    """A participant's name in LiveKit: the party, and a pseudonym that means nothing in any other room."""
    digest = hashlib.blake2b(f"{room}\0{subject}".encode(), digest_size=8).hexdigest()
    return f"{party}-{digest}"


class MediaServer:
    """One LiveKit deployment, known by its key pair."""

    def __init__(
        self,
        key: str,
        secret: str,
        *,
        url: str,
        public_url: str,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        # A third of a second: at start rather than in the first patient's join time.
        import_module("livekit.api")

        self._key = key
        self._secret = secret
        self._url = url.rstrip("/")
        self.public_url = public_url
        self._http = httpx.Client(transport=transport, timeout=httpx.Timeout(2.0, connect=1.0))

    def join_token(
        self, room: str, party: Party, subject: str, now: datetime, *, voice_only: bool = False
    ) -> JoinToken:
        """A token for one person and one room, good for TOKEN_LIFE. `voice_only`: it allows no pictures."""
        from livekit.api import VideoGrants

        identity = identity_in_room(room, party, subject)
        grants = VideoGrants(room_join=True, room=room)
        if voice_only:
            grants.can_publish_sources = ["microphone"]
        token = self._token(grants, TOKEN_LIFE).with_identity(identity)
        return JoinToken(token.to_jwt(), identity, now + TOKEN_LIFE)

    def read_webhook(self, body: bytes, authorization: str, received: datetime) -> tuple[str, Event] | None:
        """The room's name and the event that a webhook reports; None for one that does not concern us.

        Raises UnsignedWebhook.
        """
        from livekit.api import TokenVerifier, WebhookReceiver

        try:
            receiver = WebhookReceiver(TokenVerifier(self._key, self._secret))
            hook = receiver.receive(body.decode(), authorization.removeprefix("Bearer "))
        except Exception as error:  # the library raises bare exceptions besides PyJWT's and protobuf's
            raise UnsignedWebhook from error
        kind = _KINDS.get(hook.event)
        if kind is None or not hook.room.name or not hook.id:
            return None
        party = _party(hook.participant.identity)
        if kind is not Kind.ROOM_FINISHED and party is None:
            return None
        return hook.room.name, Event(
            id=hook.id,
            kind=kind,
            at=_moment(hook, kind, received),
            party=None if kind is Kind.ROOM_FINISHED else party,
            session=hook.participant.sid,
            track=hook.track.sid,
            room=hook.room.sid,
            voluntary=kind is not Kind.LEFT or _is_voluntary(hook.participant.disconnect_reason),
        )

    def close_room(self, room: str) -> None:
        """Have everybody leave. Best effort: the tokens expire and the empty room closes by itself anyway."""
        from livekit.api import VideoGrants

        token = self._token(VideoGrants(room_create=True, room_admin=True, room=room), timedelta(minutes=1))
        try:
            answer = self._http.post(
                f"{self._url}/twirp/livekit.RoomService/DeleteRoom",
                json={"room": room},
                headers={"authorization": f"Bearer {token.to_jwt()}"},
            )
            # 404: nobody ever came, or all have left.
            if answer.status_code not in (200, 404):
                log.warning("room not closed", status=answer.status_code)
        except httpx.HTTPError as error:
            log.warning("room not closed", reason=type(error).__name__)

    def _token(self, grants: Any, life: timedelta) -> Any:
        from livekit.api import AccessToken

        return AccessToken(self._key, self._secret).with_grants(grants).with_ttl(life)


def _party(identity: str) -> Party | None:
    prefix = identity.split("-", 1)[0]
    return Party(prefix) if prefix in set(Party) else None


def _is_voluntary(reason: int) -> bool:
    from livekit.protocol.models import DisconnectReason

    return reason in DisconnectReason.values() and DisconnectReason.Name(reason) in _VOLUNTARY


def _moment(hook: Any, kind: Kind, received: datetime) -> datetime:
    """When it happened. LiveKit dates events to the second; what we received within that second is more exact."""
    if kind is Kind.ENTERED and hook.participant.joined_at_ms > 0:
        return datetime.fromtimestamp(hook.participant.joined_at_ms / 1000, UTC)
    if hook.created_at <= 0:
        return received
    earliest = datetime.fromtimestamp(hook.created_at, UTC)
    return min(max(received, earliest), earliest + timedelta(milliseconds=999))
