"""Participants against the real media server: only with a token of the platform, and only if media flows."""

from __future__ import annotations

import asyncio

import pytest

from tests.cluster.conftest import RunningPlatform
from vitalops.consultation.call import ProcessCall, Seat
from vitalops.consultation.walk import StepFailed


def join_token(running_platform: RunningPlatform, name: str, secret: str, *, publish: bool = True) -> str:
    from livekit.api import AccessToken, VideoGrants

    grants = VideoGrants(room_join=True, room="cluster-test", can_publish=publish)
    key = f"vitalops-{running_platform.pair.name}"
    return AccessToken(key, secret).with_identity(name).with_grants(grants).to_jwt()


def media_secret(running_platform: RunningPlatform) -> str:
    secret = running_platform.access.secrets.get(f"{running_platform.pair.name}/media/api-secret")
    assert secret is not None
    return secret


def call(running_platform: RunningPlatform, seats: tuple[Seat, ...]) -> tuple[int, ...]:
    """Frames that each participant decoded."""

    async def talk() -> tuple[int, ...]:
        async with ProcessCall(running_platform.ca_file) as call:
            await call.begin(running_platform.edge_url.replace("https", "wss"), seats, 2.0)
            await call.joined()
            await call.flowing()
            receptions = await call.measured()
            await call.leave()
            return tuple(reception.frames_decoded for reception in receptions)

    return asyncio.run(talk())


def test_two_participants_see_each_other(running_platform: RunningPlatform) -> None:
    secret = media_secret(running_platform)
    seats = tuple(
        Seat(name, join_token(running_platform, name, secret)) for name in ("patient", "practitioner")
    )
    assert min(call(running_platform, seats)) >= 10


def test_a_token_of_a_stranger_does_not_open_the_room(running_platform: RunningPlatform) -> None:
    seats = tuple(
        Seat(name, join_token(running_platform, name, "s" * 40)) for name in ("patient", "practitioner")
    )
    with pytest.raises(StepFailed, match="could not join"):
        call(running_platform, seats)


def test_a_call_in_which_one_party_may_not_send_does_not_pass(running_platform: RunningPlatform) -> None:
    secret = media_secret(running_platform)
    seats = (
        Seat("patient", join_token(running_platform, "patient", secret)),
        Seat("practitioner", join_token(running_platform, "practitioner", secret, publish=False)),
    )
    with pytest.raises(StepFailed, match=r"participant failed|decoded 0 frames"):
        call(running_platform, seats)
